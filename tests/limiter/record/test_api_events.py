"""``/api/events``: the record of refusals, to read and not to write."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from limiter.models import ThrottleEvent
from tests.api_client import editor, errors

NOON = datetime(2030, 5, 2, 12, tzinfo=UTC)


def event(number: int, *, at: datetime = NOON, **fields: Any) -> ThrottleEvent:
    base: dict[str, Any] = {
        "tenant_id": "acme",
        "action_id": "lookupOrder",
        "key_prefix": "abcdefghijkl",
        "request_id": f"r{number}",
        "decision_id": f"d{number}",
        "policy_name": "Base",
        "policy_version": 1,
        "limit_name": "minute",
        "used": 100,
        "quota": 100,
        "effective_limit": 100,
        "multiplier": 1.0,
        "cost": 1,
        "retry_after_ms": 640.5,
    }
    return ThrottleEvent.objects.create(stream_id=f"1-{number}", at=at, **{**base, **fields})


def test_events_are_read_newest_first_page_by_page_without_loss_or_repeat(db: None) -> None:
    for number in range(7):
        event(number, at=NOON + timedelta(seconds=number // 4))  # several share one instant
    api = editor()
    seen: list[str] = []
    url: str | None = "/api/events/?page_size=3"
    while url:
        page = api.get(url).json()
        seen += [row["decision_id"] for row in page["results"]]
        url = page["next"]
    assert seen == ["d6", "d5", "d4", "d3", "d2", "d1", "d0"]


def test_one_event_is_read_by_its_number(db: None) -> None:
    row = event(1)
    found = editor().get(f"/api/events/{row.pk}/").json()
    assert (found["decision_id"], found["retry_after_ms"], found["at"]) == ("d1", 640.5, "2030-05-02T12:00:00Z")


def test_a_refusal_by_a_limit_that_no_policy_has_names_none(db: None) -> None:
    row = event(1, limit_name="(in flight)", policy_name="", policy_version=0)
    api = editor()
    found = api.get(f"/api/events/{row.pk}/").json()
    explained = api.get("/api/decisions/d1/").json()
    assert (found["policy_name"], found["policy_version"]) == (None, None)
    assert (explained["policy"]["name"], explained["policy"]["version"]) == (None, None)


def test_events_are_filtered(db: None) -> None:
    event(1)
    event(2, at=NOON + timedelta(hours=1), tenant_id="globex", shadow=True)
    api = editor()

    def found(query: str) -> list[str]:
        return [row["decision_id"] for row in api.get(f"/api/events/?{query}").json()["results"]]

    assert found("tenant=acme") == found("until=2030-05-02T13:00:00Z") == found("shadow=false") == ["d1"]
    assert found("since=2030-05-02T13:00:00Z") == found("decision_id=d2") == found("request_id=r2") == ["d2"]
    assert found("policy=Base&limit=minute&key=abcdefghijkl&action_id=lookupOrder") == ["d2", "d1"]


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_events_are_read_only(db: None, method: str) -> None:
    row = event(1)
    api = editor()
    assert getattr(api, method)(f"/api/events/{row.pk}/").status_code == 405
    assert getattr(api, method)("/api/events/").status_code == 405
    assert ThrottleEvent.objects.count() == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("since=yesterday", "since"),
        ("tenants=acme", "tenants"),
        ("cursor=%21", "cursor"),
        (f"cursor={base64.urlsafe_b64encode(b'soon|7').decode()}", "cursor"),
        (f"cursor={base64.urlsafe_b64encode(b'2030-05-02T12:00:00|7').decode()}", "cursor"),
        (f"cursor={base64.urlsafe_b64encode(b'2030-05-02T12:00:00+00:00|99999999999999999999').decode()}", "cursor"),
        ("page_size=-1", "page_size"),
    ],
)
def test_a_bad_query_is_named(db: None, query: str, field: str) -> None:
    assert list(errors(editor().get(f"/api/events/?{query}"))) == [field]


def test_a_list_costs_the_same_queries_however_long(
    db: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    api = editor()
    for wanted in (3, 30):
        for number in range(ThrottleEvent.objects.count(), wanted):
            event(number)
        with django_assert_num_queries(4):  # token, two for the rights, rows
            assert len(api.get("/api/events/").json()["results"]) == wanted
