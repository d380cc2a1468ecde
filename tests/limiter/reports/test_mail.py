"""Saved reports are mailed over a real connection: once each, attached when small, to who may still have them."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.utils import timezone
from pydantic import SecretStr
from pytest_django import Settings

from limiter.models import AuditEntry, Export, ReportMail, ReportSchedule
from limiter.reports import build, mail, schedules
from quota_platform import beat
from quota_platform.base.models.attempted import AGAIN_S, LEASE_S
from tests.limiter.reports.given import event, export
from tests.limiter.reports.mail_server import MailServer, serving

pytestmark = pytest.mark.django_db(transaction=True)
ANA, BEN = "ana@example.com", "ben@example.com"
CANARY = "canary-mail-password"


@pytest.fixture
def server(settings: Settings) -> Iterator[MailServer]:
    with serving() as made:
        settings.ENV = settings.ENV.model_copy(
            update={
                "EMAIL_HOST": "127.0.0.1",
                "EMAIL_PORT": made.port,
                "EMAIL_TLS": "none",
                "EMAIL_USER": "quota",
                "EMAIL_PASSWORD": SecretStr(CANARY),
                "EMAIL_FROM": "Quota <quota@example.com>",
                "REPORT_MAIL_DOMAINS": ["example.com"],
                "PUBLIC_URL": "https://quota.example.com",
            }
        )
        yield made


@pytest.fixture
def olga(db: None) -> User:
    user = User.objects.create_user("olga")
    wanted = ("add_export", "view_throttleevent", "view_tenant", "see_every_tenant")
    user.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    return user


def report(olga: User, *recipients: str, **fields: Any) -> Export:
    """A run of a saved report, built."""
    event(1)
    schedule = ReportSchedule.objects.create(
        **{
            "name": "Refusals of the day",
            "kind": "events",
            "format": "csv.gz",
            "owner": olga,
            "recipients": list(recipients),
            **fields,
        }
    )
    order = export(schedule=schedule, requested_by=olga, requested_name="olga")
    assert build.build(order.pk) is True
    order.refresh_from_db()
    return order


def send_due(now: datetime | None = None) -> list[str | None]:
    states: list[str | None] = []
    mail.hand_out(lambda pk: states.append(mail.send(pk, now=now)), now=now)
    return states


def test_a_report_is_mailed_to_each_recipient_with_file_and_manifest(
    redis_url: str, stored: Path, olga: User, server: MailServer
) -> None:
    order = report(olga, ANA, BEN)
    assert send_due() == ["arrived", "arrived"]
    assert send_due() == []
    assert sorted(found["To"] for found in server.mails) == [ANA, BEN]
    found = server.mails[0]
    assert found["From"] == "Quota <quota@example.com>"
    assert found["Subject"] == "Refusals of the day, 2030-05-02 to 2030-05-03"
    body = found.get_body()
    assert body is not None
    text = body.get_content()
    assert "1 rows" in text and order.manifest["sha256"] in text
    assert "https://quota.example.com/admin/limiter/export/" in text
    file, data = found.iter_attachments()
    assert file.get_filename() == order.file_name
    assert b"lookupOrder" in gzip.decompress(file.get_content())
    assert json.loads(data.get_content()) == order.manifest
    assert set(order.mails.values_list("state", "attached")) == {("arrived", True)}


def test_a_large_file_is_not_attached_but_pointed_to(
    redis_url: str, stored: Path, olga: User, server: MailServer, settings: Settings
) -> None:
    settings.ENV = settings.ENV.model_copy(update={"REPORT_MAIL_MOST_KB": 0})
    report(olga, ANA)
    assert send_due() == ["arrived"]
    (found,) = server.mails
    assert list(found.iter_attachments()) == []
    body = found.get_body()
    assert body is not None and "too large" in body.get_content()


def test_without_a_mail_server_a_run_is_kept_and_not_mailed(redis_url: str, stored: Path, olga: User) -> None:
    order = report(olga, ANA)
    assert (order.state, order.mails.count()) == ("done", 0)


def test_an_export_that_a_person_ordered_is_not_mailed(redis_url: str, stored: Path, server: MailServer) -> None:
    build.build(export().pk)
    assert not ReportMail.objects.exists()


def test_a_mail_refused_for_now_is_sent_again_under_the_same_id(
    redis_url: str, stored: Path, olga: User, server: MailServer
) -> None:
    report(olga, ANA)
    server.fails = 2
    now = timezone.now()
    assert send_due(now) == ["waiting"]
    assert ReportMail.objects.get().error == "the mail server refuses the mail: 451"
    assert send_due(now) == []
    assert send_due(now + timedelta(minutes=1)) == ["waiting"]
    assert send_due(now + timedelta(minutes=5)) == ["arrived"]
    row = ReportMail.objects.get()
    assert (row.attempts, row.error) == (3, "")
    assert [found["Message-ID"] for found in server.mails] == [f"<{row.uid}@example.com>"]


def test_an_unavailable_mail_server_is_tried_for_hours_and_then_given_up(
    redis_url: str, stored: Path, olga: User, server: MailServer, settings: Settings
) -> None:
    report(olga, ANA)
    settings.ENV = settings.ENV.model_copy(update={"EMAIL_PORT": 1})
    now, states = timezone.now(), []
    for _ in range(len(AGAIN_S) + 1):
        states += send_due(now)
        now += timedelta(days=1)
    assert states == ["waiting"] * len(AGAIN_S) + ["given_up"]
    assert ReportMail.objects.get().error == "no connection to the mail server"


def test_an_address_that_does_not_exist_is_given_up_at_once_and_holds_no_other_up(
    redis_url: str, stored: Path, olga: User, server: MailServer
) -> None:
    order = report(olga, ANA, BEN)
    server.refuses = {ANA: 550}
    assert sorted(map(str, send_due())) == ["arrived", "given_up"]
    assert order.mails.get(address=ANA).error == "the mail server refuses the address: 550"
    assert [found["To"] for found in server.mails] == [BEN]


def test_two_deliveries_of_one_task_send_one_mail(redis_url: str, stored: Path, olga: User, server: MailServer) -> None:
    pk = report(olga, ANA).mails.get().pk
    assert [mail.send(pk), mail.send(pk)] == ["arrived", None]
    assert len(server.mails) == 1


def test_the_mail_of_a_dead_worker_is_sent_by_another(
    redis_url: str, stored: Path, olga: User, server: MailServer
) -> None:
    pk, now = report(olga, ANA).mails.get().pk, timezone.now()
    assert ReportMail.claim(pk, now)
    assert send_due(now + timedelta(seconds=LEASE_S - 1)) == []
    assert send_due(now + timedelta(seconds=LEASE_S)) == ["arrived"]


@pytest.mark.parametrize("lost", ["right", "domain", "file"])
def test_a_mail_that_may_no_longer_be_sent_is_not_sent(
    redis_url: str, stored: Path, olga: User, server: MailServer, settings: Settings, lost: str
) -> None:
    order = report(olga, ANA)
    if lost == "right":
        olga.user_permissions.clear()
    elif lost == "domain":
        settings.ENV = settings.ENV.model_copy(update={"REPORT_MAIL_DOMAINS": []})
    else:
        Export.objects.filter(pk=order.pk).update(expires_at=timezone.now())
        build.expire()
    assert send_due() == ["given_up"]
    assert server.mails == [] and ReportMail.objects.get().error != ""


def test_a_name_with_a_line_break_does_not_make_a_header(
    redis_url: str, stored: Path, olga: User, server: MailServer
) -> None:
    report(olga, ANA, name="Day\r\nBcc: eve@example.com")
    assert send_due() == ["arrived"]
    assert server.mails[0]["Bcc"] is None


def test_the_password_of_the_mail_server_is_shown_to_nobody(
    redis_url: str, stored: Path, olga: User, server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    report(olga, ANA, BEN)
    server.refuses = {ANA: 550}
    send_due()
    schedules.order_all()
    assert server.signed_in, "the server was not asked for a sign-in"
    kept = [*ReportMail.objects.values(), *AuditEntry.objects.values(), *Export.objects.values()]
    assert CANARY not in caplog.text + str(kept) + "".join(found.as_string() for found in server.mails)


def test_the_clock_comes_by_every_quarter_of_a_minute() -> None:
    assert beat.every_s("limiter.tasks.mail_reports") == 15
