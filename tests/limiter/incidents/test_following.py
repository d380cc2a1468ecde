"""Refusals become incidents: each refusal once, each stretch one row, whatever is killed, repeated or late."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from limiter import clients
from limiter.core import keys
from limiter.incidents import following, stretches
from limiter.models import EventCursor, Incident, ThrottleEvent
from tests.limiter.incidents.given import NOON, incident, minutes, refusal

pytestmark = pytest.mark.django_db


def follow(at: float) -> list[tuple[float, float, int, bool]]:
    """First and last refusal (minutes after noon), number, and whether it lasts, of each incident; oldest first."""
    following.take_new(now=minutes(at))
    return [
        ((each.at - NOON).seconds / 60, (each.last_at - NOON).seconds / 60, each.refusals, each.ended_at is None)
        for each in Incident.objects.order_by("at", "pk")
    ]


def test_refusals_with_less_than_a_quarter_of_an_hour_between_are_one_incident() -> None:
    refusal(0)
    refusal(14, count=40)
    assert follow(15) == [(0, 14, 41, True)]
    assert follow(28.9) == [(0, 14, 41, True)]
    assert follow(29) == [(0, 14, 41, False)]
    assert Incident.objects.get().ended_at == minutes(29)


def test_a_refusal_after_a_quiet_quarter_of_an_hour_begins_another_incident() -> None:
    refusal(0)
    assert follow(1) == [(0, 0, 1, True)]
    refusal(15)  # and nobody looked in between
    assert follow(16) == [(0, 0, 1, False), (15, 15, 1, True)]


def test_a_refusal_that_comes_again_before_the_quarter_is_over_keeps_the_incident_open() -> None:
    refusal(0)
    follow(1)
    refusal(14.5)
    assert follow(40) == [(0, 14.5, 2, False)]
    refusal(29)  # late: a worker had decided alone
    assert follow(41) == [(0, 29, 3, True)]


def test_late_refusals_go_to_the_incident_of_their_time() -> None:
    refusal(60)
    follow(61)
    refusal(50)
    refusal(10)
    assert follow(61) == [(10, 10, 1, False), (50, 60, 2, True)]


def test_each_refusal_is_taken_once_however_often_the_task_comes_or_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "BATCH", 2)
    for second in range(5):
        refusal(second / 60)
    with pytest.raises(RuntimeError), transaction.atomic(), monkeypatch.context() as killed:
        killed.setattr(EventCursor.objects, "update_or_create", _die)
        follow(1)
    assert not Incident.objects.exists()
    assert [row[2:] for row in follow(1)] == [(5, True)]
    assert [row[2:] for row in follow(1)] == [(5, True)]


def _die(**_: object) -> None:
    raise RuntimeError


def test_limits_tenants_and_actions_have_incidents_of_their_own() -> None:
    refusal(0)
    refusal(0, action_id="createCase")
    refusal(0, tenant_id="globex")
    for action in ("lookupOrder", "createCase"):
        refusal(1, action_id=action, limit_name="hour", per="tenant")
    refusal(2, shadow=True, limit_name="trial")
    follow(3)
    assert set(Incident.objects.values_list("tenant_id", "action_id", "limit_name", "refusals")) == {
        ("acme", "lookupOrder", "minute", 1),
        ("acme", "createCase", "minute", 1),
        ("globex", "lookupOrder", "minute", 1),
        ("acme", "", "hour", 2),
    }


def test_an_incident_says_who_was_refused_and_how_far_the_limit_was_cut() -> None:
    refusal(0, key_prefix="ivr", effective_limit=100, policy_version=3)
    refusal(1, key_prefix="ivr", effective_limit=50, count=9, p95_ms=1410.0, p95_samples=80, threshold_ms=800.0)
    refusal(2, key_prefix="chat", effective_limit=70, p95_ms=900.0, p95_samples=90, threshold_ms=800.0)
    follow(3)
    row = Incident.objects.get()
    assert (row.policy_name, row.policy_version, row.quota) == ("Base", 3, 100)
    assert (row.effective_limit, row.p95_ms, row.p95_samples, row.threshold_ms) == (50, 1410.0, 80, 800.0)
    assert (row.by_key, row.by_action) == ({"ivr": 10, "chat": 1}, {"lookupOrder": 11})


def test_an_incident_names_a_bounded_number_of_keys() -> None:
    for number in range(stretches.MAX_NAMED + 5):
        refusal(0, key_prefix=f"key{number}")
    follow(1)
    by_key = Incident.objects.get().by_key
    assert (len(by_key), by_key[stretches.OTHERS], sum(by_key.values())) == (21, 5, 25)


def test_a_turn_without_news_costs_the_same_however_much_is_kept() -> None:
    refusal(0)
    follow(1)
    for _ in range(3):
        with CaptureQueriesContext(connection) as captured:
            follow(2)
        assert len([each for each in captured if "SELECT" in each["sql"]]) == 3  # cursor, newest event, this test's
        ThrottleEvent.objects.filter(pk__lte=EventCursor.objects.get().last_event).delete()
        incident(at=minutes(-90), last_at=minutes(-90), ended_at=minutes(-75))


def test_one_follower_works_at_a_time(redis_url: str) -> None:
    client = clients.client()
    client.set(keys.running("follow_refusals"), "another", px=60_000)
    refusal(0)
    assert following.follow() is None
    client.delete(keys.running("follow_refusals"))
    assert following.follow() == 1
    client.close()


def test_incidents_are_deleted_so_long_after_their_end_as_is_set(settings: Settings) -> None:
    incident(ended_at=minutes(15))
    incident()
    for days, gone in ((0, 0), (30, 1)):
        settings.ENV = settings.ENV.model_copy(update={"INCIDENTS_KEPT_DAYS": days})
        assert following.prune(now=NOON + timedelta(days=31)) == gone
