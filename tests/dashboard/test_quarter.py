"""The chart of the last quarter of an hour: each limit with its use and refusals, empty where nothing is known."""

from __future__ import annotations

from dashboard import quarter
from limiter.demand.points import Calls, Demand, Level
from limiter.demand.recent import Recent
from tests.dashboard.demanded import AT, watched_first_at

NOW = AT // quarter.STEP_S * quarter.STEP_S


def test_each_step_has_its_calls_and_what_was_used_of_the_limit() -> None:
    seen = watched_first_at(NOW)
    levels = {NOW - 600: Level(40, 80, 100), NOW - 598: Level(90, 80, 100, 7), NOW - 5: Level(3, 80, 100)}
    calls = {NOW - 600: Calls(allowed=1), NOW - 598: Calls(allowed=2, refused=7), NOW: Calls(allowed=9)}
    seen.recent = Recent.of(Demand({("lookupOrder", ""): calls}, {("lookupOrder", "minute"): levels}))
    notes = [{"at_ms": (NOW - 901) * 1000}, {"at_ms": NOW * 1000}]
    chart = quarter.chart(seen, notes, p95_ms={(NOW - 600) // 60 * 60: 120.5})
    assert chart is not None
    at = chart["times"].index(NOW - 600)
    assert (chart["times"][0], chart["times"][-1], len(chart["notes"])) == (NOW - 900, NOW - 5, 1)
    assert {name: (values[at], sum(values)) for name, values in chart["columns"].items()} == {
        "allowed": (3, 3),
        "refused": (7, 7),
    }
    limit = chart["limits"]["acme|lookupOrder|minute"]
    assert [limit[name][at] for name in ("used", "limit", "effective", "refused")] == [90, 100, 80, 7]
    assert [limit[name][at] for name in ("p95_ms", "multiplier")] == [120.5, 0.8]
    assert [limit["used"][place] for place in (at - 1, at + 1, at + 13, -1)] == [None, 90, 0, 3]


def test_there_is_no_chart_while_the_demand_is_not_known() -> None:
    assert quarter.chart(watched_first_at(NOW), []) is None
