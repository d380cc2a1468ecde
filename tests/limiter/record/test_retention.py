"""Events that were kept long enough are taken out in a way that nobody without the key can imitate."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pydantic import SecretStr
from pytest_django import Settings

from limiter.models import AuditEntry, ThrottleEvent
from limiter.record import anchors, chain, keeping, retention
from limiter.record.chain import Draft
from limiter.record.scripts import Client
from tests.limiter.core.given import T0, S
from tests.limiter.record.given import refuse

pytestmark = pytest.mark.django_db
START = datetime.fromtimestamp(T0 // S, UTC)
SPAN = timedelta(seconds=20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "anchors"


@pytest.fixture(autouse=True)
def kept(client: Client, redis_url: str, folder: Path, settings: Settings) -> None:
    """Acme's events of the seconds 0, 20 and 40, five each, Globex's of second 0; kept for a day."""
    settings.ENV = settings.ENV.model_copy(update={"EVENTS_KEPT_DAYS": 1})
    refuse(redis_url, 5, tenant="globex", name="g")
    for second in (0, 20, 40):
        refuse(redis_url, 5, name=f"a{second}-", after_s=second)
        keeping.store_all(client)
    anchors.write(where=folder)


def verify(folder: Path) -> str:
    out = StringIO()
    call_command("verify_audit", anchors=folder, stdout=out)
    return out.getvalue()


def prune(after: timedelta, *, at_once: int = 20_000) -> int:
    """Remove events older than a day, that long after the start and a day."""
    return retention.prune(now=START + after + timedelta(days=1), at_once=at_once)


def positions(tenant: str = "acme") -> list[int | None]:
    return list(ThrottleEvent.objects.filter(tenant_id=tenant).order_by("position").values_list("position", flat=True))


def test_rows_past_their_retention_go_and_the_rest_is_still_proven(folder: Path) -> None:
    assert prune(SPAN) == 5 + 4
    assert positions() == list(range(6, 16))
    assert "10 events" not in verify(folder)
    assert "11 events (11 refusals), after 9 that were taken out by their age, and 1 daily anchors" in verify(folder)
    cut = retention.latest("acme")
    assert cut is not None
    assert (cut.last, cut.rows, cut.refusals, cut.until) == (5, 5, 5, (START + timedelta(microseconds=4)).isoformat())


def test_later_events_follow_the_ones_that_were_kept(client: Client, redis_url: str, folder: Path) -> None:
    prune(timedelta(days=9))
    assert (positions(), positions("globex")) == ([15], [5])
    refuse(redis_url, 2, name="late", after_s=60)
    refuse(redis_url, 2, tenant="globex", name="late", after_s=60)
    keeping.store_all(client)
    assert (positions(), positions("globex")) == ([15, 16, 17], [5, 6, 7])
    verify(folder)


def test_cuts_are_small_and_each_is_entered(folder: Path) -> None:
    assert prune(2 * SPAN, at_once=4) == 10 + 4
    entries = AuditEntry.objects.filter(kind=retention.KIND, tenant_id="acme").order_by("position")
    assert [entry.payload["last"] for entry in entries] == [4, 8, 10]
    verify(folder)


def test_a_second_run_takes_out_nothing_more() -> None:
    prune(SPAN)
    before = AuditEntry.objects.count()
    assert prune(SPAN) == 0 and AuditEntry.objects.count() == before


@pytest.mark.django_db(transaction=True)
def test_a_cut_that_does_not_come_to_its_end_has_not_happened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        """Stands for SIGKILL."""

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("django.db.models.query.QuerySet.delete", killed)
        with pytest.raises(Killed):
            prune(SPAN)
    assert len(positions()) == 15 and retention.latest("acme") is None
    verify(folder)


def test_without_an_age_events_are_kept_for_good(settings: Settings) -> None:
    settings.ENV = settings.ENV.model_copy(update={"EVENTS_KEPT_DAYS": 0})
    assert prune(timedelta(days=9_999)) == 0


def test_the_command_says_what_would_go_and_takes_it_out(settings: Settings) -> None:
    out = StringIO()
    call_command("prune_events", dry_run=True, stdout=out)
    assert "0 events of 0 tenants; nothing was changed." in out.getvalue()  # the events' time is yet to come
    ThrottleEvent.objects.update(at=datetime(2020, 5, 1, 12, tzinfo=UTC))
    call_command("prune_events", dry_run=True, stdout=out)
    assert "acme: 14 events (14 refusals) up to 2020-05-01T12:00:00+00:00 would be taken out" in out.getvalue()
    assert "18 events of 2 tenants; nothing was changed." in out.getvalue() and len(positions()) == 15
    call_command("prune_events", stdout=out)
    assert "18 events taken out" in out.getvalue() and len(positions()) == 1
    settings.ENV = settings.ENV.model_copy(update={"EVENTS_KEPT_DAYS": 0})
    call_command("prune_events", stdout=out)
    assert "kept for good" in out.getvalue()


# Somebody with access to the database.


def take_out(until: int) -> None:
    ThrottleEvent.objects.filter(tenant_id="acme", position__lte=until).delete()


def without_an_entry() -> str:
    take_out(8)
    return "event"


def more_than_the_entry_says() -> str:
    take_out(7)
    return "refusal at position 6 of tenant acme is missing"


def with_an_entry_of_their_own() -> str:
    cut = retention.latest("acme")
    assert cut is not None
    head = ThrottleEvent.objects.get(tenant_id="acme", position=8).hash
    payload = {**AuditEntry.objects.get(kind=retention.KIND, tenant_id="acme").payload, "last": 8, "head": head}
    chain.append([Draft(retention.KIND, tenant_id="acme", payload=payload)])
    take_out(8)
    return "says that events were taken out, and was not signed by this platform"


def with_another_tenant_s_entry() -> str:
    other = AuditEntry.objects.get(kind=retention.KIND, tenant_id="globex")
    chain.append([Draft(retention.KIND, tenant_id="acme", payload=other.payload)])
    return "was signed for tenant globex"


def putting_one_back() -> str:
    event = ThrottleEvent.objects.get(tenant_id="acme", position=6)
    event.pk, event.stream_id, event.position = None, "forged", 3
    event.save()
    return "at position 3 was put in: that far events were taken out"


def altering_the_first_that_is_left() -> str:
    ThrottleEvent.objects.filter(tenant_id="acme", position=6).update(used=999)
    return "at position 6 was altered"


FORGERIES = [
    without_an_entry,
    more_than_the_entry_says,
    with_an_entry_of_their_own,
    with_another_tenant_s_entry,
    putting_one_back,
    altering_the_first_that_is_left,
]


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_a_forgery_is_named(folder: Path, forge: Callable[[], str]) -> None:
    prune(SPAN)
    named = forge()
    with pytest.raises(CommandError) as broken:
        verify(folder)
    assert named in str(broken.value)


def test_the_signature_is_the_key_s(folder: Path, settings: Settings) -> None:
    prune(SPAN)
    settings.ENV = settings.ENV.model_copy(update={"AUDIT_KEY": SecretStr("another")})
    with pytest.raises(CommandError, match="was not signed by this platform"):
        verify(folder)
