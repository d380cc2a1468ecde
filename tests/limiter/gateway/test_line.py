"""The order of calls that wait: as they came, by class, and around the accounts of a shared limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from limiter.core import keys
from limiter.core.types import Limit, ServiceClass, Share
from limiter.core.window import Call, read
from limiter.gateway.lanes import lane_of, rest_of
from limiter.gateway.line import EVERYONE, LaneName, Rest, Waiter, WaitingLine, Woken
from tests.limiter.core.given import S, log, stack

ANA, BEN = LaneName(2, "ana"), LaneName(2, "ben")
FIRST, LAST = LaneName(1, "critical"), LaneName(3, "bulk")
HOUR = 3_600_000_000


class Calls:
    """Calls that wait in one line, and the order in which they are given their turn."""

    def __init__(self) -> None:
        self.ended = False
        self.line = WaitingLine("limit", ended=self._end)
        self.turns: list[str] = []
        self._lanes: dict[str, LaneName] = {}

    def _end(self, _: str) -> None:
        self.ended = True

    async def come(self, *names: str, lane: LaneName = EVERYONE) -> None:
        for name in names:
            waiter = Waiter(len(self._lanes))
            self._lanes[name] = lane
            waiter.woken.add_done_callback(self._noting(name))
            self.line.add(waiter, lane)
            await asyncio.sleep(0)

    def _noting(self, name: str) -> Callable[[asyncio.Future[Woken]], None]:
        def note(woken: asyncio.Future[Woken]) -> None:
            if woken.result() is Woken.TURN:
                self.turns.append(name)

        return note

    async def served(self, turns: int, rest: Rest = Rest()) -> list[str]:  # noqa: B008
        """Who has the next turns, each of which ends with this rest."""
        before = len(self.turns)
        for _ in range(turns):
            await asyncio.sleep(0)
            self.line.end_turn(rest, self._lanes[self.turns[-1]])
        await asyncio.sleep(0)
        return self.turns[before:]


async def test_calls_have_their_turn_as_they_came() -> None:
    calls = Calls()
    await calls.come("one", "two", "three")
    await calls.served(3)
    assert calls.turns == ["one", "two", "three"] and calls.ended


async def test_a_higher_class_goes_first_whenever_it_comes() -> None:
    calls = Calls()
    await calls.come("now", lane=ANA)
    await calls.come("bulk", lane=LAST)
    await calls.come("normal", lane=ANA)
    await calls.come("critical", "critical too", lane=FIRST)
    assert await calls.served(5) == ["critical", "critical too", "normal", "bulk"]


async def test_turns_go_round_the_accounts_of_a_class() -> None:
    calls = Calls()
    await calls.come("a1", "a2", "a3", lane=ANA)
    await calls.come("b1", "b2", lane=BEN)
    assert await calls.served(5) == ["b1", "a2", "b2", "a3"]


async def test_an_account_above_its_share_does_not_hold_up_the_others() -> None:
    calls = Calls()
    await calls.come("a1", "a2", lane=ANA)
    await calls.come("b1", "b2", lane=BEN)
    calls.line.end_turn(Rest(lane_us=HOUR), ANA)
    assert await calls.served(2) == ["b1", "b2"]
    assert calls.turns == ["a1", "b1", "b2"] and not calls.ended
    assert (calls.line.holds_up(ANA), calls.line.holds_up(BEN)) == (True, False)
    calls.line.freed()
    await asyncio.sleep(0)
    assert calls.turns[3:] == ["a2"]


async def test_a_full_limit_holds_up_everyone() -> None:
    calls = Calls()
    await calls.come("a1", lane=ANA)
    await calls.come("b1", lane=BEN)
    assert await calls.served(1, Rest(line_us=HOUR)) == []
    assert calls.line.holds_up(LaneName(1, "new"))


def test_a_call_of_a_shared_limit_waits_in_the_lane_of_its_account() -> None:
    shared, plain = log(5, name="pool", share=Share(over_us=10 * S)), log(5, name="plain")
    bound = stack(shared, plain)
    pool, window = bound.windows
    assert lane_of(bound, pool) == (2, "2|1|0|0|acme")
    assert lane_of(bound, window) == lane_of(bound, "a limit of before an edit") == EVERYONE


@pytest.mark.parametrize(
    ("limits", "rank"),
    [
        ([log(5)], 2),
        ([log(5), log(5, name="pool", share=Share(over_us=10 * S, service_class=ServiceClass.CRITICAL))], 1),
        ([log(5, share=Share(over_us=10 * S, service_class=ServiceClass.BULK))], 3),
    ],
    ids=["not shared", "critical", "bulk"],
)
def test_at_a_pause_of_the_upstream_each_tenant_has_a_lane_in_the_class_of_its_calls(
    limits: list[Limit], rank: int
) -> None:
    bound = stack(*limits)
    assert lane_of(bound, keys.pause(bound.subject.connection)) == LaneName(rank, "acme")


async def test_the_place_of_a_caller_that_hangs_up_is_free_before_the_next_decision() -> None:
    ended: list[str] = []
    line = WaitingLine("limit", ended=ended.append)
    waiters = [Waiter(number) for number in range(4)]
    for waiter in waiters:
        line.add(waiter)
    for waiter in waiters[1:3]:
        waiter.leave()
    line.end_turn(Rest())  # in the same turn of the event loop: no task of theirs has run
    assert [waiter.has_turn for waiter in waiters] == [True, False, False, True]
    for waiter in waiters:
        line.remove(waiter)
    line.end_turn(Rest())
    assert ended == ["limit"]


async def test_a_new_call_joins_a_line_that_everyone_joins_though_its_lane_is_empty() -> None:
    line = WaitingLine("a pause", ended=lambda _: None, joined=True)
    line.add(Waiter(1), ANA)
    assert line.holds_up(BEN)


def test_above_its_share_only_the_account_rests_and_looks_again_in_the_next_slice() -> None:
    bound = stack(log(5, share=Share(over_us=10 * S)))
    length = 10 * S // 122 + 1

    def rest(*state: int, verdict: int = -3) -> Rest:
        reply = [0, 1_000_000, verdict, *state, *([state[2]] if verdict == -3 else [])]
        return rest_of(bound, read(bound, Call("d"), reply), bound.windows[0])

    assert rest(4, 5, 7 * S, 3 * S) == Rest(0, length)
    assert rest(5, 5, 7 * S, 3 * S) == Rest(3 * S, length)
    assert rest(5, 5, 1_000, 1_000) == Rest(1_000, 1_000)
    assert rest(4, 5, 0, 3 * S, verdict=1) == Rest()
    assert rest(5, 5, 0, 3 * S, verdict=1) == Rest(3 * S, 0)
