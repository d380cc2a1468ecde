"""The state that refusals make: entered at once, left slowly, and the same on each page."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import groupby

from limiter.demand.points import Calls, Demand, Level
from limiter.demand.recent import Recent
from limiter.demand.state import RefusalState, RefusedCalls, refused
from tests.limiter.demand.given import LOOK_UP, OF_TENANT, SECOND

BURSTS = [(second, 5) for start in range(0, 240, 25) for second in range(SECOND + start, SECOND + start + 4)]
"""Four seconds of refusals in every twenty-five, for four minutes: a sixth of the calls."""


def test_bursts_of_refusals_are_one_state_from_the_first_second_on() -> None:
    seen = [
        refused([each for each in BURSTS if each[0] <= now], now=now).state
        for now in range(SECOND - 5, SECOND + 240 + 1_000)
    ]
    states = [(state, len(list(group))) for state, group in groupby(seen)]
    last = BURSTS[-1][0] - SECOND
    assert states[:3] == [
        (RefusalState.NONE, 5),
        (RefusalState.REFUSING, last + 60),
        (RefusalState.LATELY, 900 - 60),
    ]
    assert states[3:] == [(RefusalState.NONE, 1_240 - last - 900)]


def test_it_says_how_many_were_refused_in_the_last_minute_and_quarter_of_an_hour_and_when_last() -> None:
    calls = [(SECOND - 900, 7), (SECOND - 899, 3), (SECOND - 60, 10), (SECOND - 59, 2), (SECOND, 4), (SECOND + 1, 0)]
    assert refused(calls, now=SECOND) == RefusedCalls(minute=6, quarter=19, last=SECOND)
    assert refused([], now=SECOND).state is RefusalState.NONE


def a_recent() -> Recent:
    levels = {SECOND: Level(40, 90, 100, 2), SECOND + 10: Level(10, 90, 100)}
    return Recent.of(Demand({LOOK_UP: {SECOND: Calls(allowed=3, refused=2)}}, {OF_TENANT: levels}))


def test_a_newer_look_at_a_second_replaces_the_older_one_and_counts_nothing_twice() -> None:
    seen = a_recent()
    for _ in range(2):
        seen.take(
            Demand({LOOK_UP: {SECOND: Calls(allowed=4, refused=2)}}, {OF_TENANT: {SECOND: Level(44, 90, 100, 3)}})
        )
    seen.take(Demand({("createCase", ""): {SECOND: Calls(refused=1)}}))
    assert seen.last_minute(SECOND + 59) == Calls(allowed=4, refused=3)
    assert seen.last_minute(SECOND + 60) == Calls()
    assert seen.refused(SECOND).minute == 3 and seen.refused_by(OF_TENANT, SECOND).minute == 3
    assert not seen.is_idle(SECOND + 899) and seen.is_idle(SECOND + 900)
    assert not Recent.of(seen.cut(now=SECOND + 2_000).demand).totals


def test_a_line_holds_its_last_value_until_all_units_have_left_and_is_silent_about_the_unknown() -> None:
    line = dict(a_recent().demand.line(OF_TENANT, SECOND - 3, SECOND + 20, holds_s=8))
    assert min(line) == SECOND  # nothing is known of the seconds before
    assert [line[SECOND + after].used for after in (0, 7, 8, 9, 10, 17, 18)] == [40, 40, 0, 0, 10, 10, 0]
    assert {(level.effective, level.quota) for level in line.values()} == {(90, 100)}


def each_second(
    points: dict[int, Level], start: int, end: int, holds_s: int, step_s: int
) -> Iterator[tuple[int, Level]]:
    """What a line is by its definition: each span looks back for its last call."""
    for at in range(start, end, step_s):
        reach = start - -(-holds_s // step_s) * step_s
        if before := [second for second in points if reach <= second <= at]:
            level, unused = points[max(before)], at - max(before) >= holds_s + step_s - 1
            yield at, level._replace(used=0, refused=0) if unused and at != max(before) else level


def test_a_line_is_that_of_its_definition_for_any_calls_steps_and_windows() -> None:
    rng = random.Random(31)
    for _ in range(500):
        step_s, holds_s = rng.choice([1, 1, 5, 60]), rng.choice([1, 7, 60, 90])
        start, end = SECOND // 60 * 60, SECOND // 60 * 60 + 40 * step_s
        levels = {
            start + rng.randrange(-60, 40) * step_s: Level(rng.randrange(9), 90, 100, rng.randrange(3))
            for _ in range(rng.randrange(6))
        }
        line = Demand(limits={OF_TENANT: levels}).line(OF_TENANT, start, end, holds_s=holds_s, step_s=step_s)
        assert list(line) == list(each_second(levels, start, end, holds_s, step_s))


def test_a_line_looks_at_no_more_seconds_of_a_limit_of_a_day_than_of_one_of_a_minute() -> None:
    looks = []

    class Looked(dict[int, Level]):
        def __contains__(self, key: object) -> bool:
            looks.append(key)
            return super().__contains__(key)

    of_a_day = Demand(limits={OF_TENANT: Looked({SECOND - 3_600: Level(40, 90, 100)})})
    line = list(of_a_day.line(OF_TENANT, SECOND, SECOND + 300, holds_s=86_400))
    assert line == [(SECOND + after, Level(40, 90, 100)) for after in range(300)] and len(looks) <= 300
