"""Why was this call refused? On the page and through the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client as Browser
from django.urls import reverse

from limiter.core import keys
from limiter.core.refusal import Refusal, write
from limiter.core.types import PPM, CountedPer, Share
from limiter.models import MultiplierChange, QuotaLimit, QuotaPolicy, ThrottleEvent
from limiter.policies.models.version import one_version
from limiter.record import events, keeping
from limiter.record.explain import explain, wait_in_seconds
from limiter.record.scripts import Client
from quota_platform.openapi.responses import EXPLAINED
from tests.api_client import person
from tests.limiter.core.given import T0, S, log, slots
from tests.limiter.record.given import refuse
from tests.limiter.reports.given import LIMIT, event

pytestmark = pytest.mark.django_db
START = datetime.fromtimestamp(T0 // S, UTC)


@pytest.fixture
def gold(admin_user: User) -> QuotaPolicy:
    """Version 2 of Gold, made by root for a reason; version 3 came later."""
    policy = QuotaPolicy.objects.create(name="Gold")
    with one_version("Acme's contract"):
        limit = QuotaLimit(policy=policy, name="minute", quota=2, window_seconds=60)
        limit.save()
    record = QuotaPolicy.history.get(version=2)
    record.history_user = admin_user
    record.save()
    with one_version("more for everyone"):
        limit.quota = 100
        limit.save()
    return policy


@pytest.fixture
def refused(gold: QuotaPolicy, client: Client, redis_url: str) -> ThrottleEvent:
    """One of Acme's calls, refused under a cut to half."""
    client.set(keys.multiplier(1, "acme", None), 500_000)
    MultiplierChange.objects.create(
        stream_id="c1/1-1",
        at=START - timedelta(seconds=30),
        tenant_id="acme",
        before=1,
        after=0.5,
        p95_ms=1410,
        samples=100,
        threshold_ms=800,
    )
    refuse(redis_url, 1, limits=[log(2, window_us=60 * S, policy_name="Gold", policy_version=2)])
    keeping.store_all(client)
    return ThrottleEvent.objects.get()


def test_a_p95_that_is_unknown_is_not_explained_as_0(refused: ThrottleEvent) -> None:
    """The cut is over because too few calls were left to judge by."""
    at = refused.at - timedelta(seconds=1)
    about = {"tenant_id": "acme", "before": 0.5, "after": 1.0, "p95_ms": 0.0, "samples": 2, "threshold_ms": 800}
    MultiplierChange.objects.create(stream_id="c1/2-1", at=at, **about)
    refused.multiplier, refused.p95_ms = 1.0, None
    then = explain(refused).multiplier
    assert (then.value, then.p95_ms, then.samples) == (1.0, None, 2)


@pytest.mark.parametrize(
    ("wait_ms", "shown"), [(6_400.0, "6.4"), (640.512, "0.65"), (0.4, "0.01"), (3_600_000.0, "3,600")]
)
def test_a_wait_is_written_as_people_do_and_never_too_short(wait_ms: float, shown: str) -> None:
    assert wait_in_seconds(ThrottleEvent(retry_after_ms=wait_ms)) == shown


def test_the_documented_example_is_what_such_a_refusal_is_explained_by() -> None:
    at = datetime.fromisoformat(EXPLAINED["at"])
    limit = LIMIT | {"algorithm": "sliding_log", "quota": 100, "used": 100, "effective": 100, "wait_us": 6_400_000}
    row = event(1, at=at, count=47, effective_limit=100, multiplier=1.0, retry_after_ms=6_400.0, limits=[limit])
    data = explain(row)
    assert (data.sentence, list(data.remedies)) == (EXPLAINED["sentence"], EXPLAINED["remedies"])
    assert data.passes_at == datetime.fromisoformat(EXPLAINED["passes_at"])


def test_a_part_of_a_limit_that_nothing_has_cut_is_called_a_part() -> None:
    row = event(1, multiplier=1.0, used=15, effective_limit=15, quota=25)
    assert "15 of 15 units were in use under the limit 'minute', a part of 25" in explain(row).sentence
    assert "cut to" not in explain(row).sentence


def test_a_refusal_is_explained_from_the_record(refused: ThrottleEvent) -> None:
    data = explain(refused)
    assert data.sentence == (
        "This call was refused: 1 of 1 units in 1 minute were in use under the limit 'minute', cut to 50% of 2,"
        " counted per tenant and action, and it needed 1."
    )
    assert (data.policy.version, data.policy.changed_by, data.policy.reason) == (2, "root", "Acme's contract")
    assert data.policy.version_now == 3
    assert (data.multiplier.value, data.multiplier.p95_ms, data.multiplier.samples) == (0.5, 1410, 100)
    assert data.multiplier.set_at == START - timedelta(seconds=30)
    assert data.passes_at == START + timedelta(seconds=59)
    assert data.remedies == (
        f"Waiting 59 s, until {START + timedelta(seconds=59):%Y-%m-%d %H:%M:%S} UTC.",
        "No cut: without the multiplier of 0.5 the limits had room.",
        "A limit 'minute' that comes to at least 2 (it came to 1).",
    )


def test_the_explanation_of_a_call_above_the_limit_says_that_waiting_does_not_help(
    client: Client, redis_url: str
) -> None:
    refuse(redis_url, 1, limits=[log(1, window_us=60 * S)])
    keeping.store_all(client)
    event = ThrottleEvent.objects.get()
    event.retry_after_ms, event.cost, event.used = None, 5, 0
    event.limits[0] |= {"wait_us": -1, "used": 0}
    data = explain(event)
    assert data.passes_at is None
    assert data.remedies == ("A limit 'minute' that comes to at least 5 (it came to 1).",)


def test_the_explanation_of_a_call_without_a_slot_says_that_its_wait_was_a_hint(client: Client, redis_url: str) -> None:
    refuse(redis_url, 1, limits=[slots(1)])
    keeping.store_all(client)
    data = explain(ThrottleEvent.objects.get())
    assert data.remedies == (
        "The end of a running call that held a slot of 'inflight'; the wait in its response is a hint.",
        "A limit 'inflight' that comes to at least 2 (it came to 1).",
    )


def test_a_row_that_stands_for_many_says_so(client: Client, redis_url: str) -> None:
    refuse(redis_url, 30, per_second=30)
    keeping.store_all(client)
    data = explain(ThrottleEvent.objects.get(count=20))
    assert data.sentence.startswith("20 calls like this were refused: 1 of 1 units in 1 hour")


def test_the_api_explains_a_decision(refused: ThrottleEvent) -> None:
    found = person("limiter.view_throttleevent").get("/api/decisions/d0/").json()
    assert found["event"]["decision_id"] == "d0"
    assert found["limits"][0]["passes_at"] == (START + timedelta(seconds=59)).isoformat().replace("+00:00", "Z")
    assert (found["policy"]["changed_by"], found["multiplier"]["p95_ms"]) == ("root", 1410.0)
    assert found["passes_at"] == found["limits"][0]["passes_at"] and len(found["remedies"]) == 3


def test_an_unknown_decision_is_not_found(db: None) -> None:
    response = person("limiter.view_throttleevent").get("/api/decisions/nobody/")
    assert response.status_code == 404 and "not be stored yet" in response.json()["detail"]


def test_a_stranger_gets_no_explanation(refused: ThrottleEvent) -> None:
    stranger = person("tenants.view_tenant", name="stranger")
    for url in ("/api/decisions/d0/", "/api/events/", f"/api/events/{refused.pk}/"):
        response = stranger.get(url)
        assert response.status_code == 403 and b"acme" not in response.content
    staff = User.objects.create_user("staff", is_staff=True)
    browser = Browser()
    browser.force_login(staff)
    for page in ("throttleevent_changelist", "auditentry_changelist"):
        assert browser.get(reverse(f"admin:limiter_{page}")).status_code == 403
    assert browser.get(reverse("admin:limiter_throttleevent_change", args=[refused.pk])).status_code == 403


def test_the_event_s_page_explains_it(refused: ThrottleEvent, admin_user: User) -> None:
    browser = Browser()
    browser.force_login(admin_user)
    page: Any = browser.get(reverse("admin:limiter_throttleevent_change", args=[refused.pk]))
    text = page.content.decode()
    for data in ("This call was refused: 1 of 1 units", "1,410 ms", "Acme&#x27;s contract", "root", "Waiting 59 s"):
        assert data in text


def test_a_refusal_is_explained_in_the_readers_language(refused: ThrottleEvent, admin_user: User) -> None:
    browser = Browser()
    browser.force_login(admin_user)
    german = {"Accept-Language": "de"}
    page = browser.get(reverse("admin:limiter_throttleevent_change", args=[refused.pk]), headers=german)
    text = page.content.decode()
    for data in (
        "Dieser Aufruf wurde abgelehnt: 1 von 1 Einheiten (Fenster: 1 Minute) waren beim Limit „minute“ belegt,",
        "gekürzt auf 50 % von 2, gezählt je Mandant und Aktion; er brauchte 1.",
        "Eine Wartezeit von 59 s",
        "Ohne den Multiplikator 0,5",
    ):
        assert data in text
    response = browser.get(f"/api/decisions/{refused.decision_id}/", headers=german)
    assert response.json()["sentence"].startswith("This call was refused: 1 of 1 units in 1 minute were in use")


def test_the_share_of_a_shared_limit_is_explained(client: Client, redis_url: str) -> None:
    share = Share(ceiling=1, over_us=60 * S)
    refuse(redis_url, 1, limits=[log(2, window_us=60 * S, counted_per=CountedPer.CONNECTION, share=share)])
    keeping.store_all(client)
    explained = explain(ThrottleEvent.objects.get())
    assert explained.sentence.endswith("Its tenant had 1 of them, and its ceiling is 1.")
    share_then = explained.limits[0].share or {}
    assert (share_then["refused"], share_then["share"], share_then["used"]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("parts", "end"),
    [
        ("2,30,45,12", "and 12 were kept for others."),
        ("2,30,45,1", "and 1 was kept for others."),
        ("3,5,2,0|||3", "no unit was free. Of its even part of 3 units 1 was lent to others."),
        ("2,30,45,12|||25", "It had borrowed 20 of these from others."),
        ("3,5,2,0|||25", "no unit was free. Of its even part of 25 units 23 were lent to others."),
    ],
)
def test_what_a_share_had_borrowed_or_lent_is_explained(parts: str, end: str) -> None:
    """Also of a refusal that 0.2.0 wrote, without the even part."""
    limit = f"pool|Gold|1|sliding_log|connection|100|60000000|1|0|1|{parts}"
    refusal = Refusal(T0, 0, False, PPM, 1, "acme", "act", "d1", "key", "request", (100, 100, 1, 1), limit)
    assert explain(events.event("1-0", write(refusal))).sentence.endswith(end)
