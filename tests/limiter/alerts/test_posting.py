"""Alerts are posted to hooks: signed, at least once, to allowed addresses, until they arrive or are given up."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from limiter.alerts import deliveries, posting, watch
from limiter.alerts.event_types import ENDED, STARTED
from limiter.models import Alert, AlertDelivery, AlertHook, AuditEntry, QuotaPolicy
from quota_platform import beat
from quota_platform.base.models.attempted import AGAIN_S, LEASE_S
from quota_platform.env import BASE_DIR
from tenants.models import Tenant
from tests.limiter.alerts.given import alert, data, forget, seen, use
from tests.limiter.alerts.receiver import Posted, Receiver, listening

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    with listening() as made:
        settings.ENV = settings.ENV.model_copy(
            update={"ALERT_HOOK_HOSTS": [made.address], "PUBLIC_URL": "https://quota.example.com"}
        )
        yield made


def hook(receiver: Receiver, **fields: Any) -> tuple[AlertHook, str]:
    row = AlertHook(**{"name": "On-call", "url": receiver.url, **fields})
    secret = row.renew_secret()
    row.full_clean()
    row.save()
    return row, secret


def waiting() -> AlertDelivery:
    return AlertDelivery.objects.get(state="waiting")


def post_due(now: datetime | None = None) -> list[str | None]:
    """What Celery does when beat comes by."""
    states: list[str | None] = []
    posting.hand_out(lambda pk: states.append(posting.post(pk, now=now)), now=now)
    return states


def verified(posted: Posted, secret: str) -> dict[str, Any]:
    """The message, after what a receiver checks."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{posted.headers['webhook-id']}.{posted.headers['webhook-timestamp']}.".encode() + posted.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert f"v1,{expected}" in posted.headers["webhook-signature"].split(" ")
    message: dict[str, Any] = json.loads(posted.body)
    return message


def test_the_check_that_the_documentation_shows_takes_what_is_genuine_and_nothing_else(
    acme: Tenant, receiver: Receiver
) -> None:
    shown: dict[str, Any] = {}
    exec((BASE_DIR / "docs" / "alerts.md").read_text().split("```python")[1].split("```")[0], shown)
    row, secret = hook(receiver, tenant=acme)
    posting.post(deliveries.put_test(row, at=timezone.now()).pk)
    (posted,) = receiver.posted
    is_genuine = shown["is_genuine"]
    assert is_genuine(secret, posted.headers, posted.body)
    assert not is_genuine(secret, posted.headers, posted.body + b" ")
    assert not is_genuine(row.renew_secret(), posted.headers, posted.body)
    assert not is_genuine(secret, posted.headers | {"webhook-timestamp": "1"}, posted.body)


def test_an_alert_s_start_and_end_are_posted_and_their_signatures_hold(
    redis_url: str, acme: Tenant, base_policy: QuotaPolicy, receiver: Receiver
) -> None:
    _, secret = hook(receiver, tenant=acme)
    use(redis_url, acme, 81)
    assert data() == [("acme", "lookupOrder", "minute", 80)]
    assert post_due() == ["arrived"]
    forget(redis_url, acme, leaving=10)
    assert data() == []
    assert post_due() == ["arrived"]
    assert post_due() == []
    started, ended = (verified(posted, secret) for posted in receiver.posted)
    assert (started["type"], ended["type"], started["version"]) == ("alert.started", "alert.ended", 1)
    row = Alert.objects.get()
    assert started["data"] | {"full_in_s": None} == {
        "alert_id": row.pk,
        "tenant_id": "acme",
        "action_id": "lookupOrder",
        "limit": "minute",
        "policy": "Base",
        "policy_version": base_policy.version,
        "threshold_percent": 80,
        "used": 81,
        "effective_limit": 100,
        "full_in_s": None,
        "shadow": False,
        "started_at": row.at.isoformat(),
        "ended_at": None,
        "ending": None,
        "url": "https://quota.example.com/dashboard/tenants/acme/",
    }
    assert (ended["data"]["ending"], ended["data"]["ended_at"]) == ("fell", ended["timestamp"])
    assert len(set(receiver.ids())) == 2


def test_a_hook_gets_its_tenants_alerts_from_its_threshold_on_and_ends_if_set(
    acme: Tenant, globex: Tenant, receiver: Receiver
) -> None:
    hook(receiver, name="acme", tenant=acme)
    hook(receiver, name="globex", tenant=globex)
    hook(receiver, name="everyone")
    hook(receiver, name="full", tenant=acme, from_threshold=100)
    hook(receiver, name="starts", tenant=acme, tell_ends=False)
    hook(receiver, name="off", tenant=acme, enabled=False)
    deliveries.put([alert(threshold=80)], STARTED)
    assert set(AlertDelivery.objects.values_list("hook__name", flat=True)) == {"acme", "everyone", "starts"}
    AlertDelivery.objects.all().delete()
    deliveries.put([alert(threshold=100, ended_at=timezone.now(), ending="fell")], ENDED)
    assert set(AlertDelivery.objects.values_list("hook__name", flat=True)) == {"acme", "everyone", "full"}


def test_nothing_is_posted_of_an_alert_that_another_evaluator_started(
    redis_url: str, acme: Tenant, base_policy: QuotaPolicy, receiver: Receiver
) -> None:
    hook(receiver, tenant=acme)
    use(redis_url, acme, 81)
    now = timezone.now()
    read = seen()
    assert watch.apply([], read, now=now) == 1
    assert watch.apply([], read, now=now) == 0
    assert AlertDelivery.objects.count() == 1


def test_a_refused_message_is_posted_again_later_with_the_same_id_and_body(acme: Tenant, receiver: Receiver) -> None:
    hook(receiver, tenant=acme)
    deliveries.put([alert()], STARTED)
    receiver.responses = [500, 302]
    now = timezone.now()
    assert post_due(now) == ["waiting"]
    assert (waiting().status, waiting().error) == (500, "answered 500")
    assert post_due(now) == []
    assert 3.9 < (waiting().next_at - now).total_seconds() < 6.1
    later = now + timedelta(seconds=10)
    assert post_due(later) == ["waiting"]
    assert 23 < (waiting().next_at - later).total_seconds() < 37
    assert post_due(later + timedelta(minutes=1)) == ["arrived"]
    assert len(set(receiver.ids())) == 1 and len({posted.body for posted in receiver.posted}) == 1
    assert {posted.path for posted in receiver.posted} == {"/quota"}, "a redirect was followed"
    stamps = [int(posted.headers["webhook-timestamp"]) for posted in receiver.posted]
    assert stamps == sorted(set(stamps))
    done = AlertDelivery.objects.get()
    assert (done.attempts, done.status, done.error, done.state) == (3, 204, "", "arrived")


def test_a_receiver_that_does_not_respond_is_tried_again(
    acme: Tenant, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "_TIMEOUTS_S", (1, 0.05))
    receiver.hangs = threading.Event()
    hook(receiver, tenant=acme)
    deliveries.put([alert()], STARTED)
    assert post_due() == ["waiting"]
    assert waiting().error == "no response in time"


def test_two_deliveries_of_one_task_post_once(acme: Tenant, receiver: Receiver) -> None:
    hook(receiver, tenant=acme)
    deliveries.put([alert()], STARTED)
    pk = AlertDelivery.objects.get().pk
    assert [posting.post(pk), posting.post(pk)] == ["arrived", None]
    assert len(receiver.posted) == 1


def test_the_message_of_a_dead_worker_is_posted_again_with_the_same_id(
    acme: Tenant, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Stands for SIGKILL."""

    def killed(*_: object, **__: object) -> str:
        raise Killed

    hook(receiver, tenant=acme)
    deliveries.put([alert()], STARTED)
    now = timezone.now()
    with monkeypatch.context() as patched:
        patched.setattr(AlertDelivery, "note", killed)
        with pytest.raises(Killed):
            post_due(now)
    assert post_due(now + timedelta(seconds=LEASE_S - 1)) == []
    assert post_due(now + timedelta(seconds=LEASE_S)) == ["arrived"]
    assert len(receiver.posted) == 2 and len(set(receiver.ids())) == 1


def exhaust(receiver: Receiver, status: int = 500) -> None:
    """Let every attempt of what waits fail."""
    receiver.responses = [status] * 50
    now = timezone.now()
    while AlertDelivery.objects.filter(state="waiting").exists():
        now += timedelta(days=1)
        post_due(now)
    receiver.responses = []


def test_a_message_is_given_up_after_its_attempts_and_a_hook_after_five_messages(
    acme: Tenant, receiver: Receiver
) -> None:
    row, _ = hook(receiver, tenant=acme)
    for number in range(posting.MAX_GIVEN_UP):
        row.refresh_from_db()
        assert (row.enabled, row.failures) == (True, number)
        deliveries.put([alert(limit_name=f"limit{number}")], STARTED)
        exhaust(receiver)
    assert len(receiver.posted) == posting.MAX_GIVEN_UP * (len(AGAIN_S) + 1)
    row.refresh_from_db()
    assert not row.enabled
    assert row.stopped_because == "5 messages in a row did not arrive: answered 500"
    entry = AuditEntry.objects.filter(kind="alert_hook.changed").get()
    assert entry.payload["after"] == {"enabled": False, "stopped_because": row.stopped_because}
    deliveries.put([alert(limit_name="later")], STARTED)
    assert not AlertDelivery.objects.filter(state="waiting").exists()
    row.enabled = True
    row.save()
    assert (row.stopped_because, row.failures) == ("", 0)


def test_one_message_that_arrives_forgives_those_before(acme: Tenant, receiver: Receiver) -> None:
    row, _ = hook(receiver, tenant=acme)
    deliveries.put([alert()], STARTED)
    exhaust(receiver)
    deliveries.put([alert(limit_name="day")], STARTED)
    assert post_due() == ["arrived"]
    row.refresh_from_db()
    assert row.failures == 0


def test_a_receiver_that_is_gone_is_not_asked_again(acme: Tenant, receiver: Receiver) -> None:
    row, _ = hook(receiver, tenant=acme)
    deliveries.put([alert()], STARTED)
    receiver.responses = [410]
    assert post_due() == ["given_up"]
    row.refresh_from_db()
    assert (row.enabled, row.stopped_because) == (False, "it wants no more: answered 410")


def test_messages_for_a_hook_that_is_switched_off_are_given_up_and_not_held_against_it(
    acme: Tenant, receiver: Receiver
) -> None:
    row, _ = hook(receiver, tenant=acme)
    deliveries.put([alert()], STARTED)
    row.enabled = False
    row.save()
    assert post_due() == ["given_up"]
    row.refresh_from_db()
    assert (row.failures, receiver.posted) == (0, [])


def test_a_name_that_leads_inside_is_not_connected_to(acme: Tenant, settings: Settings) -> None:
    settings.ENV = settings.ENV.model_copy(update={"ALERT_HOOK_HOSTS": ["example.com"]})
    row = AlertHook(name="Inside", url="https://hooks.example.com/quota", tenant=acme)
    row.renew_secret()
    row.full_clean()
    row.save()
    deliveries.put([alert()], STARTED)
    assert posting.post(waiting().pk, lookup=lambda host, port: ["10.0.0.7"]) == "waiting"
    assert waiting().error == "The host resolves to an address that is not on the public internet."


def test_a_host_that_is_listed_no_more_is_not_posted_to(acme: Tenant, receiver: Receiver, settings: Settings) -> None:
    hook(receiver, tenant=acme)
    deliveries.put([alert()], STARTED)
    settings.ENV = settings.ENV.model_copy(update={"ALERT_HOOK_HOSTS": []})
    assert post_due() == ["waiting"]
    assert "ALERT_HOOK_HOSTS" in waiting().error and receiver.posted == []


def test_a_test_is_posted_once_and_counts_for_nothing(acme: Tenant, receiver: Receiver) -> None:
    row, secret = hook(receiver, tenant=acme, enabled=False)
    first = deliveries.put_test(row, at=timezone.now())
    assert posting.post(first.pk) == "arrived"
    assert verified(receiver.posted[0], secret)["type"] == "alert.test"
    receiver.responses = [500]
    assert posting.post(deliveries.put_test(row, at=timezone.now()).pk) == "given_up"
    row.refresh_from_db()
    assert row.failures == 0


def test_the_secret_is_shown_to_nobody(acme: Tenant, receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    _, secret = hook(receiver, tenant=acme)
    deliveries.put([alert()], STARTED)
    receiver.responses = [500]
    post_due()
    exhaust(receiver, 410)
    kept = [*AlertDelivery.objects.values(), *AuditEntry.objects.values(), *AlertHook.history.values()]
    plain = secret.removeprefix("whsec_")
    sent = [str(posted.headers) + posted.body.decode() for posted in receiver.posted]
    assert plain not in caplog.text + str(kept) + "".join(sent)
    assert plain not in str(AlertHook.objects.values())


def test_old_alerts_are_deleted_with_their_messages(acme: Tenant, receiver: Receiver) -> None:
    hook(receiver, tenant=acme)
    now = timezone.now()
    deliveries.put([alert(ended_at=now)], STARTED)
    post_due()
    assert watch.prune(now=now + timedelta(days=399)) == 0
    assert watch.prune(now=now + timedelta(days=401)) == 2


def test_the_clock_comes_by_every_few_seconds() -> None:
    assert beat.every_s("limiter.tasks.post_alerts") == 2
    assert beat.every_s("limiter.tasks.find_events") == 5
