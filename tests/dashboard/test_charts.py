"""Charts of any span: each limit with its use and refusals, calls by action, and nothing where nothing is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dashboard import charts
from dashboard.charts import Around
from dashboard.recorded import RecordedDemand
from dashboard.spans import Span
from limiter.demand.coverage import Covered
from limiter.demand.points import Calls, Demand, Level
from tests.dashboard.demanded import AT, watched_first_at

NOW = AT // 5 * 5
QUARTER = Span(NOW - 900, NOW, 5)
MINUTE = "lookupOrder|minute"


def demand() -> Demand:
    levels = {NOW - 600: Level(40, 80, 100), NOW - 598: Level(90, 80, 100, 7), NOW - 5: Level(3, 80, 100)}
    calls = {NOW - 600: Calls(allowed=1), NOW - 598: Calls(allowed=2, refused=7, held_back=1), NOW: Calls(allowed=9)}
    return Demand({("lookupOrder", ""): calls}, {("lookupOrder", "minute"): levels}).every(5)


ALL = Covered(NOW - 4_500, NOW)


def drawn(
    line: str = "", *, covered: Sequence[Covered] = (ALL,), around: Around | None = None
) -> dict[str, charts.Column]:
    recorded = RecordedDemand(demand(), covered)
    made = charts.chart(watched_first_at(NOW), recorded, QUARTER, line=line, around=around or Around())
    found: dict[str, charts.Column] = made["columns"]
    return found


AT_600 = 60
"""The step that began 600 seconds ago."""


def test_each_step_has_what_was_used_of_the_limit_and_what_it_refused() -> None:
    columns = drawn(MINUTE, around=Around({NOW - 600: 120.5}))
    assert [columns[name][AT_600] for name in ("used", "limit", "effective", "refused")] == [90, 100, 80, 7]
    assert [columns[name][AT_600] for name in ("p95_ms", "multiplier")] == [120.5, 0.8]
    assert [columns["used"][AT_600 + after] for after in (-1, 1, 13, 119)] == [0, 90, 0, 3]
    assert columns["limit"][AT_600 - 1] is None


def test_after_the_last_change_the_limit_in_force_is_drawn_without_a_call() -> None:
    def limits(*notes: dict[str, int]) -> list[tuple[int, int] | None]:
        quiet = {NOW - 600: Level(40, 200, 200), NOW - 595: Level(41, 200, 200)}
        recorded = RecordedDemand(Demand({}, {("lookupOrder", "minute"): quiet}), [ALL])
        made = charts.chart(watched_first_at(NOW), recorded, QUARTER, line=MINUTE, around=Around(notes=notes))
        columns = made["columns"]
        assert [columns["used"][AT_600 + after] for after in (1, 2, -AT_600 - 1)] == [41, 41, 0]
        return [each and (each, of) for each, of in zip(columns["limit"], columns["effective"], strict=True)]

    changed = {"at_ms": (NOW - 300) * 1000}
    before, after = (200, 200), (100, 80)
    assert limits() == [None] * 60 + [before] * 119 + [after], "when it changed is not known"
    assert limits(changed, {"at_ms": (NOW - 700) * 1000}) == [None] * 60 + [before] * 60 + [after] * 60
    assert limits({"at_ms": (NOW - 590) * 1000, "until": (NOW - 300) * 1000}) == limits(changed), "an override's end"
    assert limits({"at_ms": (NOW - 599) * 1000, "until": (NOW + 60) * 1000})[AT_600 : AT_600 + 3] == [before] * 2 + [
        after
    ], "it has not ended, and the last call was decided by it"


def test_what_a_shadow_limit_would_have_refused_is_drawn_as_such() -> None:
    reading = watched_first_at(NOW)
    row = reading.rows[MINUTE]
    reading.keep([replace(row, state=row.state._replace(limit=replace(row.state.limit, shadow=True)))])
    made = charts.chart(reading, RecordedDemand(demand(), [ALL]), QUARTER, line=MINUTE, around=Around())
    assert made["columns"]["shadow_refused"][AT_600] == 7 and "refused" not in made["columns"]


def test_calls_are_counted_by_action_with_those_held_back() -> None:
    for line in ("calls", "calls:lookupOrder"):
        columns = drawn(line)
        assert [columns[name][AT_600] for name in ("allowed", "refused")] == [3, 8]
        assert [sum(columns[name]) for name in ("allowed", "refused")] == [3, 8]


def test_time_that_was_not_recorded_is_a_gap_and_no_zero() -> None:
    covered = [Covered(NOW - 700, NOW - 650), Covered(NOW - 600, NOW - 100)]
    for line, name in ((MINUTE, "used"), ("calls", "allowed")):
        values = drawn(line, covered=covered)[name]
        assert [value is None for value in values] == [True] * 40 + [False] * 10 + [True] * 10 + [False] * 100 + [
            True
        ] * 20


def test_the_line_that_refused_most_is_shown_unless_another_is_asked_for() -> None:
    reading = watched_first_at(NOW)
    recorded = RecordedDemand(demand(), [ALL])
    recorded.demand.limits["", "day"] = {NOW - 600: Level(99, 100, 100, 1)}
    found = charts.chart(reading, recorded, QUARTER, line="of another tenant", around=Around())
    assert found["line"] == MINUTE
    assert [each["line"] for kind in ("limits", "calls") for each in found["lines"][kind]] == [
        "|day",
        MINUTE,
        "calls",
        "calls:lookupOrder",
    ]


def test_an_earlier_day_lies_beside_the_span_step_by_step() -> None:
    day = charts.BESIDE_S["yesterday"]
    moved = Demand({}, {("lookupOrder", "minute"): {NOW - 600 - day: Level(33, 80, 100)}})
    earlier = RecordedDemand(moved, [Covered(NOW - 4_500 - day, NOW - day)])
    columns = drawn(MINUTE, around=Around(earlier=earlier, earlier_s=day))
    assert (columns["before"][AT_600], columns["used"][AT_600]) == (33, 90)


def test_a_mark_outside_the_span_is_left_out() -> None:
    notes = [{"at_ms": (NOW - 901) * 1000}, {"at_ms": (NOW - 900) * 1000}]
    recorded = RecordedDemand(demand(), [ALL])
    found = charts.chart(watched_first_at(NOW), recorded, QUARTER, line="", around=Around(notes=notes))
    assert found["notes"] == notes[1:]
