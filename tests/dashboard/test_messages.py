"""The frames: what state a limit is in, what the sentence says, when a limit will be full."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from dashboard import stored
from dashboard.live_lines import LiveLine, Point
from dashboard.messages import overview_frame, tenant_frame
from dashboard.readings import RowReading, TenantReading
from dashboard.stored import StoredReadings
from limiter.core.learned import Mode, State
from limiter.core.pacing import Pace
from limiter.core.pausing import Pause
from limiter.core.types import MICROS, CountedPer, Limit, LimitState
from limiter.demand.points import Calls, Demand, Level
from limiter.demand.recent import Recent
from limiter.models import Alert, Incident, ThrottleEvent
from limiter.policies.plan import EffectivePolicy
from tests.dashboard.demanded import LOOK_UP, recent

AT = 1_784_025_727.0
MINUTE = Limit("minute", "sliding_log", 100, window_us=60 * MICROS)
NOBODY: dict[str, Any] = {"platform": {}, "degraded": None}


def state(used: int, *, effective: int = 100, limit: Limit = MINUTE) -> LimitState:
    return LimitState(limit, used=used, effective=effective, wait_us=0, reset_us=30 * MICROS)


def reading(at_the_limit: LimitState, *, tenant_id: str = "acme", known: Recent | None = None) -> TenantReading:
    """A tenant whose calls of the last quarter of an hour are known; without ``known`` it made one, long ago."""
    row = RowReading("lookupOrder", at_the_limit, 1.0)
    made = TenantReading(tenant_id, at=AT, now_s=int(AT), rows={row.id: row})
    made.lines = {row.id: LiveLine(deque([Point(AT, at_the_limit.used, at_the_limit.effective)]))}
    made.plans = {"lookupOrder": EffectivePolicy((at_the_limit.limit,))}
    made.recent = known or recent(AT, calls={800: Calls(allowed=1, units=1)})
    made.note_near(row)
    return made


def refused_ago(seconds: int, calls: int = 1) -> Recent:
    return recent(AT, refused={seconds: calls})


def refusal(*, seconds_ago: float = 0, **values: Any) -> ThrottleEvent:
    fields = {
        "tenant_id": "acme",
        "action_id": "lookupOrder",
        "limit_name": "minute",
        "quota": 100,
        "effective_limit": 100,
        "count": 1,
        "decision_id": "d",
        "key_prefix": "",
    }
    return ThrottleEvent(at=datetime.fromtimestamp(AT - seconds_ago, tz=UTC), **{**fields, **values})


@pytest.mark.parametrize(
    ("used", "expected"), [(1, "ok"), (79, "ok"), (80, "near"), (99, "near"), (100, "near"), (130, "near")]
)
def test_a_limit_is_near_from_four_fifths_on_and_also_when_it_is_full_and_nobody_was_refused(
    used: int, expected: str
) -> None:
    (row,) = overview_frame([reading(state(used))], StoredReadings(), **NOBODY)["rows"]
    assert row["state"] == expected


def test_a_cut_limit_is_measured_by_its_effective_limit() -> None:
    (row,) = overview_frame([reading(state(62, effective=62))], StoredReadings(), **NOBODY)["rows"]
    assert (row["state"], row["quota"], row["effective"], row["remaining"]) == ("near", 100, 62, 0)


def test_a_limit_is_near_from_the_lowest_threshold_of_its_policy_and_leaves_it_by_a_margin() -> None:
    early = Limit("minute", "sliding_log", 100, window_us=60 * MICROS, alert_at=(50, 90, 100))
    seen = reading(state(50, limit=early))
    states = []
    for used in (49, 46, 44, 49):
        seen.rows = {"lookupOrder|minute": RowReading("lookupOrder", state(used, limit=early), 1.0)}
        seen.note_near(seen.rows["lookupOrder|minute"])
        states.append(overview_frame([seen], StoredReadings(), **NOBODY)["rows"][0]["state"])
    assert states == ["near", "near", "ok", "ok"]
    assert overview_frame([seen], StoredReadings(), **NOBODY)["rows"][0]["threshold"] == 50


def test_a_full_shadow_limit_is_shadow_and_refuses_nobody() -> None:
    shadow = Limit("minute", "sliding_log", 100, window_us=60 * MICROS, shadow=True)
    frame = overview_frame([reading(state(120, limit=shadow))], StoredReadings(), **NOBODY)
    assert frame["rows"][0]["state"] == "shadow"
    assert frame["summary"]["state"] == "ok"


@pytest.mark.parametrize(
    ("seconds_ago", "expected"), [(0, "stop"), (59, "stop"), (60, "lately"), (899, "lately"), (900, "ok")]
)
def test_a_limit_refuses_for_a_minute_after_its_last_refusal_and_has_refused_lately_for_a_quarter_of_an_hour(
    seconds_ago: int, expected: str
) -> None:
    seen = reading(state(3), known=refused_ago(seconds_ago))
    frame = tenant_frame(seen, StoredReadings(), **NOBODY)
    assert (frame["rows"][0]["state"], frame["summary"]["state"]) == (expected, expected)


def test_the_peak_is_that_of_the_last_hour() -> None:
    seen = reading(state(40))
    seen.peaks = {"lookupOrder|minute": {29_733_761: 55, 29_733_762: 41}}
    assert seen.peak("lookupOrder|minute") is None  # the hour before is not read yet
    seen.hour_known = True
    (row,) = overview_frame([seen], StoredReadings(), **NOBODY)["rows"]
    assert row["peak_1h"] == 55


def test_the_sentence_counts_no_fewer_refusals_than_the_table_which_also_has_events() -> None:
    kinds = {("acme", "lookupOrder", "minute"): 9, ("acme", "lookupOrder", "(upstream)"): 5, ("acme", "x", "gone"): 3}
    known = StoredReadings(
        refused=kinds, events=[refusal(seconds_ago=90, count=9), refusal(seconds_ago=5, shadow=True)]
    )
    for seen in (reading(state(3)), reading(state(3), known=refused_ago(100, 4))):
        for frame in (overview_frame([seen], known, **NOBODY), tenant_frame(seen, known, **NOBODY)):
            said = frame["summary"]["sentence"]
            assert (frame["summary"]["state"], said["quarter"], frame["rows"][0]["refused_15m"]) == ("lately", 9, 9)
            assert said["last"] == (AT - 90) * 1000


def of_limit(calls: int) -> Recent:
    """The record of demand has one number of a limit, for calls that it refused and that it would have refused."""
    allowed = {("lookupOrder", ""): {int(AT) - 100: Calls(allowed=calls, units=calls)}}
    return Recent.of(Demand(allowed, {LOOK_UP: {int(AT) - 100: Level(100, 100, 100, calls)}}))


SHADOW = Limit("minute", "sliding_log", 100, window_us=60 * MICROS, shadow=True)


@pytest.mark.parametrize(
    ("limit", "refused_before", "expected"),
    [
        (SHADOW, 0, (0, 9)),  # events are there before the counts of demand
        (MINUTE, 0, (0, 9)),  # it was a shadow limit until now
        (SHADOW, 4, (4, 9)),  # it was not until now
        (MINUTE, 4, (4, 9)),
    ],
)
def test_calls_that_a_shadow_limit_would_have_refused_are_no_refusals(
    limit: Limit, refused_before: int, expected: tuple[int, int]
) -> None:
    kind = ("acme", "lookupOrder", "minute")
    known = StoredReadings(refused={kind: refused_before}, shadow={kind: 9})
    for seen in (reading(state(3, limit=limit)), reading(state(3, limit=limit), known=of_limit(9 + refused_before))):
        (row,) = overview_frame([seen], known, **NOBODY)["rows"]
        assert (row["refused_15m"], row["shadow_15m"]) == expected
        assert (overview_frame([seen], known, **NOBODY)["summary"]["state"] == "ok") is not bool(refused_before)


def test_refusals_that_no_event_tells_of_yet_are_of_the_kind_that_the_limit_is() -> None:
    for limit, expected in ((MINUTE, (7, 0)), (SHADOW, (0, 7))):
        (row,) = overview_frame([reading(state(3, limit=limit), known=of_limit(7))], StoredReadings(), **NOBODY)["rows"]
        assert (row["refused_15m"], row["shadow_15m"]) == expected


@pytest.mark.parametrize(
    ("limit", "drawn", "left_out"), [(MINUTE, "refused", "shadow_refused"), (SHADOW, "shadow_refused", "refused")]
)
def test_the_chart_of_a_shadow_limit_draws_no_refusals(limit: Limit, drawn: str, left_out: str) -> None:
    (chart,) = tenant_frame(reading(state(3, limit=limit)), StoredReadings(), **NOBODY)["charts"].values()
    assert drawn in chart["columns"] and left_out not in chart["columns"]


def test_another_tenants_refusal_changes_nothing() -> None:
    both = [reading(state(3)), reading(state(3), tenant_id="globex", known=refused_ago(5))]
    rows = overview_frame(both, StoredReadings(), **NOBODY)["rows"]
    assert [(row["tenant"], row["state"]) for row in rows] == [("acme", "ok"), ("globex", "stop")]


def test_a_refusal_by_a_limit_without_a_row_makes_the_tenant_refusing_all_the_same() -> None:
    """One counted per key has none, since each key has a count of its own."""
    seen = reading(state(3), known=recent(AT, refused={5: 4}, limit=("lookupOrder", "per key")))
    frame = tenant_frame(seen, StoredReadings(), **NOBODY)
    assert (frame["rows"][0]["state"], frame["summary"]["state"]) == ("ok", "stop")


def test_the_sentence_counts_tenants_and_names_limits() -> None:
    full = [reading(state(100), tenant_id=name, known=refused_ago(5, 3)) for name in ("acme", "globex")]
    full.append(reading(state(85), tenant_id="stark", known=refused_ago(300, 10)))
    known = StoredReadings(names={"acme": "Acme Retail"})
    sentence = overview_frame(full, known, **NOBODY)["summary"]["sentence"]
    assert (sentence["code"], sentence["tenants"], sentence["more"]) == ("overview.stop", 2, 0)
    assert (sentence["calls"], sentence["quarter"], sentence["minutes"]) == (6, 16, 15)
    assert [(limit["tenant"], limit["limit"]) for limit in sentence["limits"]] == [
        ("Acme Retail", "minute"),
        ("globex", "minute"),
    ]


@pytest.mark.parametrize(
    ("seconds_ago", "expected"), [(5, "tenant.stop"), (2000, "tenant.near")], ids=["refusing", "near"]
)
def test_a_tenants_page_says_which_of_its_limits_is_meant(seconds_ago: int, expected: str) -> None:
    seen = reading(state(85), known=refused_ago(seconds_ago))
    sentence = tenant_frame(seen, StoredReadings(), **NOBODY)["summary"]["sentence"]
    assert sentence["code"] == expected
    assert [(limit["limit"], limit["action"]) for limit in sentence["limits"]] == [("minute", "lookupOrder")]


def test_where_nothing_is_refused_the_sentence_says_what_was_lately_and_when() -> None:
    quiet = overview_frame([reading(state(1))], StoredReadings(), **NOBODY)["summary"]
    assert quiet["sentence"] == {"code": "overview.quiet", "minutes": 15} and quiet["state"] == "ok"
    seen = reading(state(1), known=recent(AT, refused={90: 4, 200: 3}))
    numbers = {"calls": 0, "quarter": 7, "minutes": 15, "last": (int(AT) - 90) * 1000}
    for frame, page in (
        (overview_frame([seen], StoredReadings(), **NOBODY), "overview"),
        (tenant_frame(seen, StoredReadings(), **NOBODY), "tenant"),
    ):
        said = frame["summary"]["sentence"]
        assert {name: said[name] for name in numbers} == numbers
        assert (frame["summary"]["state"], said["code"]) == ("lately", f"{page}.lately")


def calm(**values: Any) -> tuple[str, str]:
    seen = replace(reading(state(0)), **{"rows": {}, **values})
    summary = tenant_frame(seen, StoredReadings(), **NOBODY)["summary"]
    return summary["state"], summary["sentence"]["code"]


def test_a_tenant_that_cannot_call_or_does_not_is_said_to_be_so() -> None:
    assert calm() == ("ok", "tenant.quiet")
    assert calm(recent=recent(AT)) == ("ok", "tenant.idle")
    assert calm(plans={"lookupOrder": EffectivePolicy(())}) == ("ok", "tenant.unlimited")
    assert calm(plans={}) == ("ok", "tenant.no_actions")
    assert calm(plans={}, suspended=True) == ("stop", "tenant.suspended")


def test_a_tenant_whose_demand_is_not_known_yet_is_not_said_to_be_well() -> None:
    assert calm(recent=None) == ("unknown", "unknown")
    unknown = overview_frame([replace(reading(state(1)), recent=None)], StoredReadings(), **NOBODY)
    assert unknown["summary"]["state"] == "unknown"
    assert unknown["figures"]["refused_per_min"]["value"] is None


def test_a_sentence_names_three_limits_and_counts_the_others() -> None:
    full = [reading(state(100), tenant_id=f"t{number}", known=refused_ago(1)) for number in range(5)]
    sentence = overview_frame(full, StoredReadings(), **NOBODY)["summary"]["sentence"]
    assert (sentence["tenants"], len(sentence["limits"]), sentence["more"]) == (5, 3, 2)


def test_the_figures_are_those_of_the_last_minute_with_or_without_viewers() -> None:
    calls = {61: Calls(allowed=100), 59: Calls(allowed=30, refused=2), 0: Calls(allowed=5, refused=3)}
    seen = reading(state(1), known=recent(AT, calls=calls))
    found = overview_frame([seen], StoredReadings(), **NOBODY)["figures"]
    assert [found[name]["value"] for name in ("calls_per_min", "allowed_per_min", "refused_per_min")] == [40, 35, 5]


def test_a_limit_that_nothing_counts_against_is_left_out() -> None:
    assert overview_frame([reading(state(0))], StoredReadings(), **NOBODY)["rows"] == []


def test_a_limit_is_in_no_state_before_its_last_minutes_are_read() -> None:
    seen = reading(state(100))
    seen.recent = None
    (row,) = overview_frame([seen], StoredReadings(), **NOBODY)["rows"]
    assert row["state"] == "unknown"


def test_a_degraded_limiter_is_unknown_whatever_was_last_read() -> None:
    away = {"code": "degraded.store", "since": 1}
    summary = overview_frame([reading(state(100))], StoredReadings(), platform={}, degraded=away)["summary"]
    assert (summary["state"], summary["sentence"], summary["degraded"]) == ("unknown", {"code": "unknown"}, away)


def test_a_person_without_tenants_gets_no_row() -> None:
    frame = overview_frame([], StoredReadings(), **NOBODY)
    assert (frame["rows"], frame["feed"], frame["figures"]["calls_per_min"]["value"]) == ([], [], 0)


def test_a_tenants_frame_carries_a_line_for_each_limit() -> None:
    frame = tenant_frame(reading(state(40)), StoredReadings(), **NOBODY)
    columns = frame["charts"]["acme|lookupOrder|minute"]["columns"]
    assert (columns["used"], columns["refused"]) == ([40], [0])


def test_no_line_is_drawn_across_a_time_in_which_nothing_was_read() -> None:
    seen = reading(state(40))
    seen.lines["lookupOrder|minute"].points = deque(
        [Point(AT - 61, 7, 100), Point(AT - 60, 8, 100), Point(AT, 40, 100)]
    )
    chart = tenant_frame(seen, StoredReadings(), **NOBODY)["charts"]["acme|lookupOrder|minute"]
    assert chart["times"] == [AT - 61, AT - 60, AT - 59, AT]
    assert chart["columns"]["used"] == [7, 8, None, 40]


def test_a_tenants_frame_says_which_key_is_refused_most() -> None:
    events = [refusal(key_prefix="qk_a", count=3), refusal(key_prefix="qk_b", count=9), refusal(count=5)]
    tops = tenant_frame(reading(state(40)), StoredReadings(events=events), **NOBODY)["tops"]
    assert tops["keys"][0] == {"name": "qk_b", "calls": 9, "share": 0.75}
    assert tops["actions"] == [{"name": "lookupOrder", "calls": 40, "share": 1.0}]


def test_refusals_of_one_kind_and_second_are_one_line() -> None:
    known = [refusal(count=30), refusal(count=7), refusal(seconds_ago=1), refusal(shadow=True), refusal(action_id="b")]
    lines = stored.feed(StoredReadings(events=known, names={"acme": "Acme Retail"}))
    assert sorted((line["action"], line["count"], line["shadow"]) for line in lines) == [
        ("b", 1, False),
        ("lookupOrder", 1, False),
        ("lookupOrder", 1, True),
        ("lookupOrder", 37, False),
    ]


def alert(pk: int, threshold: int, **fields: Any) -> Alert:
    about = {
        "tenant_id": "acme",
        "action_id": "lookupOrder",
        "limit_name": "minute",
        "used": 80,
        "effective_limit": 100,
    }
    at = datetime.fromtimestamp(AT - 60 + pk, tz=UTC)
    return Alert(pk=pk, at=at, threshold=threshold, **{**about, **fields})


def test_a_limits_highest_threshold_is_shown_with_its_present_use() -> None:
    known = StoredReadings(names={"acme": "Acme Retail"}, alerts=[alert(2, 95), alert(1, 80)])
    seen = reading(state(97))
    seen.full_in_s = {"lookupOrder|minute": 4.2}
    (line,) = overview_frame([seen], known, **NOBODY)["alerts"]
    assert (line["tenant_name"], line["action"], line["limit"]) == ("Acme Retail", "lookupOrder", "minute")
    assert line["threshold"] == 95
    assert (line["id"], line["ids"], line["state"]) == (2, [1, 2], "near")
    assert (line["used"], line["effective"], line["full_in_s"]) == (97, 100, 4.2)


@pytest.mark.parametrize(
    ("of", "number"),
    [("lookupOrder", 31), ("", 31), ("createCase", None)],
    ids=["its action", "all actions", "another"],
)
def test_a_limit_and_its_refusals_name_the_incident_that_lasts(of: str, number: int | None) -> None:
    events = [refusal(), refusal(shadow=True), refusal(limit_name="hour")]
    known = StoredReadings(events=events, incidents={("acme", of, "minute"): Incident(pk=31)})
    frame = overview_frame([reading(state(97))], known, **NOBODY)
    assert frame["rows"][0]["incident"] == number
    named = {(line["limit"], line["shadow"]): line["incident"] for line in frame["feed"]}
    assert named == {("minute", False): number, ("minute", True): None, ("hour", False): None}


def test_an_alert_of_a_limit_that_is_not_read_now_tells_the_numbers_of_its_start() -> None:
    known = StoredReadings(alerts=[alert(1, 80, action_id="", limit_name="day")])
    (line,) = overview_frame([reading(state(3))], known, **NOBODY)["alerts"]
    assert (line["tenant_name"], line["action"], line["limit"]) == ("acme", "", "day")
    assert (line["threshold"], line["used"], line["full_in_s"]) == (80, 80, None)


def test_full_limits_come_first_and_shadow_limits_last() -> None:
    alerts = [
        alert(1, 80),
        alert(2, 100, action_id="a"),
        alert(3, 100, action_id="b", shadow=True),
        alert(4, 100, action_id="c"),
    ]
    lines = overview_frame([reading(state(3))], StoredReadings(alerts=alerts), **NOBODY)["alerts"]
    assert [(line["id"], line["state"]) for line in lines] == [(4, "stop"), (2, "stop"), (1, "near"), (3, "shadow")]


def test_a_row_says_in_how_many_seconds_it_is_full_and_one_that_will_not_be_says_nothing() -> None:
    filling, quiet = reading(state(60)), reading(state(60), tenant_id="globex")
    filling.full_in_s = {"lookupOrder|minute": 20.5}
    rows = overview_frame([filling, quiet], StoredReadings(), **NOBODY)["rows"]
    assert [row["full_in_s"] for row in rows] == [20.5, None]


def test_a_row_says_when_its_next_unit_is_free_and_one_of_which_none_is_used_says_nothing() -> None:
    in_use, unused = reading(state(60)), reading(state(0), tenant_id="globex", known=refused_ago(60))
    rows = overview_frame([in_use, unused], StoredReadings(), **NOBODY)["rows"]
    assert [(row["used"], row["next_unit_s"]) for row in rows] == [(60, 30.0), (0, None)]


def test_nobody_knows_when_the_next_call_in_flight_ends() -> None:
    seen = with_a_full_limit_in_flight(called=True)
    (row,) = overview_frame([seen], StoredReadings(), **NOBODY)["rows"]
    assert (row["used"], row["next_unit_s"]) == (5, None)


def held_back(calls: int, *, asked_us: int | None = 30 * MICROS, status: int = 429) -> dict[str, Any]:
    """Of one connection, whose tenant had so many calls held back in the last minute."""
    seen = reading(state(1))
    seen.connection_id = 7
    seen.recent = recent(AT, calls={60: Calls(held_back=5), 30: Calls(held_back=calls)})
    pause = Pause(int((AT + 20) * MICROS), status, int(AT * MICROS), asked_us)
    return {"reading": seen, "platform": {"upstreams": {7: (pause, None, None)}}, "degraded": None}


UNIT = StoredReadings(connections={"acme": "unit"})


def test_a_connection_that_is_held_back_says_until_when_why_and_how_many_calls() -> None:
    given = held_back(12)
    seen = given.pop("reading")
    frame = overview_frame([seen], UNIT, **given)
    pause = {"until": int((AT + 20) * 1000), "status": 429, "asked_s": 30, "calls": 12}
    (connection,) = frame["connections"]
    assert (connection["state"], connection["word"], connection["pause"]) == ("stop", "connection.paused", pause)
    assert connection["reason"] == {"code": "connection.asked", **pause}
    assert frame["summary"]["state"] == "stop"
    assert frame["summary"]["sentence"] == {"code": "overview.held_back", "connections": 1, **pause}
    on_its_page = tenant_frame(seen, UNIT, **given)
    assert on_its_page["summary"]["sentence"] == {"code": "tenant.held_back", **pause}
    assert on_its_page["connection"]["reason"] == {"code": "connection.asked", **pause}


@pytest.mark.parametrize(
    ("asked_us", "status", "code"), [(None, 503, "connection.silent"), (MICROS, 200, "connection.spent")]
)
def test_a_pause_of_which_the_length_was_not_said_or_only_headers_spoke_has_other_words(
    asked_us: int | None, status: int, code: str
) -> None:
    given = held_back(0, asked_us=asked_us, status=status)
    (connection,) = overview_frame([given.pop("reading")], UNIT, **given)["connections"]
    assert connection["reason"]["code"] == code


@pytest.mark.parametrize("mode", list(Mode))
def test_a_connection_that_learns_its_calls_in_flight_says_what_it_has_found(mode: Mode) -> None:
    seen = reading(state(1))
    seen.connection_id = 7
    learned = State(
        mode=mode, limit=5.4, rate=9.62, p95_us=780_000, before_us=1.4e6, after_us=7e5, next_trial_us=60 * MICROS
    )
    (connection,) = overview_frame([seen], UNIT, platform={"upstreams": {7: (None, None, learned)}}, degraded=None)[
        "connections"
    ]
    if mode is Mode.WHOLE:
        assert (connection["state"], connection["reason"]) == ("ok", None)
    else:
        assert (connection["state"], connection["word"]) == ("near", f"connection.word.{mode}")
        assert connection["reason"] == {
            "code": f"connection.{mode}",
            "allowed": None if mode is Mode.NOT_OURS else 5,
            "rate": 9.6,
            "p95_s": 0.8,
            "before_s": 1.4,
            "after_s": 0.7,
            "next_trial": 60_000,
        }


def with_a_full_limit_in_flight(*, called: bool) -> TenantReading:
    """Of a connection that other tenants' calls fill; ``called``: this one has made a call in the last minute too."""
    limit = Limit("(in flight)", "concurrency", 100, lease_us=90 * MICROS, counted_per=CountedPer.CONNECTION)
    seen = reading(state(5, effective=5, limit=limit))
    seen.recent = recent(AT, calls={30 if called else 61: Calls(allowed=1)})
    return seen


def test_calls_in_flight_of_other_tenants_are_no_row_of_one_that_makes_none() -> None:
    idle, busy = (with_a_full_limit_in_flight(called=called) for called in (False, True))
    assert overview_frame([idle], StoredReadings(), **NOBODY)["rows"] == []
    (row,) = overview_frame([busy], StoredReadings(), **NOBODY)["rows"]
    assert row["state"] == "near"


@pytest.mark.parametrize(("seconds_ago", "expected"), [(2, "stop"), (60, "near")])
def test_a_tenant_that_the_others_calls_refused_has_the_row_and_refuses_only_while_it_is_refused(
    seconds_ago: int, expected: str
) -> None:
    seen = with_a_full_limit_in_flight(called=False)
    seen.recent = recent(AT, refused={seconds_ago: 1}, limit=("lookupOrder", "(in flight)"))
    (row,) = overview_frame([seen], StoredReadings(), **NOBODY)["rows"]
    assert row["state"] == expected


def test_a_limit_that_refuses_is_named_before_a_pause() -> None:
    given = held_back(1)
    given["reading"].recent = refused_ago(1)
    sentence = overview_frame([given.pop("reading")], UNIT, **given)["summary"]["sentence"]
    assert sentence["code"] == "overview.stop"


@pytest.mark.parametrize(
    ("pace", "shown"),
    [
        (Pace(61.2), {"code": "pace.fixed", "calls": 61, "found": 0, "probed": 0}),
        (Pace(61.2, 5_000_000), {"code": "pace.learned", "calls": 61, "found": 5_000, "probed": 0}),
        (Pace(61.2, 5_000_000, 7_000_000), {"code": "pace.probed", "calls": 61, "found": 5_000, "probed": 7_000}),
    ],
)
def test_a_connection_shows_the_pace_that_its_upstream_takes(pace: Pace, shown: dict[str, Any]) -> None:
    seen = reading(state(1))
    seen.connection_id = 7
    frame = overview_frame([seen], UNIT, platform={"upstreams": {7: (None, pace, None)}}, degraded=None)
    assert (frame["connections"][0]["pace"], frame["connections"][0]["state"]) == (shown, "ok")
