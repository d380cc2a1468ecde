"""The hours of a contact point: who is off duty gets nothing, and on coming back the alerts that still last."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from pytest_django import Settings

from limiter.alerts import deliveries
from limiter.alerts.event_types import ENDED, STARTED
from limiter.alerts.hours import Hours
from limiter.models import Alert, AlertDelivery, AlertHook
from tests.api_client import editor, errors

NINE, FIVE, TEN, SIX = time(9), time(17), time(22), time(6)
SATURDAY = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "moment", "inside"),
    [
        (Hours("all", None, None, "UTC"), SATURDAY, True),
        (Hours("weekdays", None, None, "UTC"), SATURDAY, False),
        (Hours("weekends", None, None, "UTC"), SATURDAY, True),
        (Hours("weekends", None, None, "America/New_York"), SATURDAY, False),  # still Friday there
        (Hours("all", NINE, FIVE, "UTC"), SATURDAY.replace(hour=9), True),
        (Hours("all", NINE, FIVE, "UTC"), SATURDAY.replace(hour=17), False),
        (Hours("all", NINE, FIVE, "Europe/Berlin"), SATURDAY.replace(hour=8), True),
        (Hours("weekdays", TEN, SIX, "UTC"), SATURDAY.replace(hour=5), True),  # Friday's night
        (Hours("weekdays", TEN, SIX, "UTC"), SATURDAY.replace(hour=22), False),
        (Hours("weekends", TEN, SIX, "UTC"), SATURDAY.replace(hour=5), False),
    ],
)
def test_hours_include_a_moment_of_their_zone(hours: Hours, moment: datetime, inside: bool) -> None:
    assert hours.include(moment) is inside


@pytest.mark.parametrize(
    ("hours", "begin"),
    [
        (Hours("all", NINE, FIVE, "UTC"), SATURDAY.replace(hour=9)),
        (Hours("all", NINE, FIVE, "Asia/Tokyo"), SATURDAY.replace(hour=0)),  # nine o'clock there
        (Hours("weekdays", NINE, FIVE, "Europe/Berlin"), SATURDAY.replace(day=30, hour=8)),
        (Hours("weekdays", None, None, "UTC"), SATURDAY.replace(day=30)),
        (Hours("weekends", TEN, SIX, "UTC"), SATURDAY.replace(hour=22)),
        (Hours("weekends", None, None, "America/New_York"), SATURDAY.replace(hour=5)),
    ],
)
def test_hours_that_do_not_include_a_moment_begin_next_on_one_of_their_days(hours: Hours, begin: datetime) -> None:
    assert hours.next(SATURDAY) == begin
    assert hours.next(begin) == begin


def contact(**fields: Any) -> AlertHook:
    row = AlertHook(name="Day shift", url="https://hooks.example.com/quota", **fields)
    row.renew_secret()
    row.save()
    return row


def alert(at: datetime, **fields: Any) -> Alert:
    base: dict[str, Any] = {"tenant_id": "acme", "limit_name": "minute", "policy_name": "Base", "policy_version": 1}
    return Alert.objects.create(at=at, **base, threshold=80, used=81, effective_limit=100, **fields)


def events() -> list[str]:
    return list(AlertDelivery.objects.order_by("id").values_list("event", flat=True))


@pytest.mark.django_db
def test_an_alert_outside_the_hours_is_sent_when_they_begin_while_it_lasts() -> None:
    contact(active_from=NINE, active_until=FIVE)
    row = alert(SATURDAY.replace(hour=8))
    assert deliveries.put([row], STARTED) == 0
    assert deliveries.put_late([row], now=SATURDAY.replace(hour=8, minute=59)) == 0
    assert deliveries.put_late([row], now=SATURDAY.replace(hour=9)) == 1
    assert deliveries.put_late([row], now=SATURDAY.replace(hour=9)) == 0, "once"
    assert events() == ["alert.started"]


@pytest.mark.django_db
def test_the_end_goes_to_those_who_got_the_start_at_any_hour() -> None:
    contact(active_from=NINE, active_until=FIVE)
    seen, unseen = alert(SATURDAY.replace(hour=16)), alert(SATURDAY.replace(hour=18), action_id="lookupOrder")
    assert deliveries.put([seen, unseen], STARTED) == 1
    for row in (seen, unseen):
        row.ended_at = SATURDAY.replace(hour=20)
        row.save()
    assert deliveries.put([seen, unseen], ENDED) == 1
    assert events() == ["alert.started", "alert.ended"]


@pytest.mark.django_db
def test_without_hours_nothing_is_late(django_assert_num_queries: Any) -> None:
    contact()
    row = alert(SATURDAY - timedelta(hours=1))
    with django_assert_num_queries(1):
        assert deliveries.put_late([row], now=SATURDAY) == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("fields", "field", "wrong"),
    [
        ({"active_from": "09:00"}, "active_until", "Give both times, or neither."),
        ({"active_until": "09:00"}, "active_from", "Give both times, or neither."),
        (
            {"active_from": "09:00", "active_until": "09:00"},
            "active_until",
            "Give another time than the first; leave both empty for all day.",
        ),
        ({"time_zone": "Berlin"}, "time_zone", "This is no time zone. Give one like Europe/Berlin or UTC."),
    ],
)
def test_wrong_hours_are_reported_at_their_field(
    settings: Settings, fields: dict[str, Any], field: str, wrong: str
) -> None:
    settings.ENV = settings.ENV.model_copy(update={"ALERT_HOOK_HOSTS": ["example.com"]})
    body = {"name": "Day shift", "tenant": None, "url": "https://hooks.example.com/quota", **fields}
    assert errors(editor("ana").post("/api/alert-hooks/", body)) == {field: [wrong]}
