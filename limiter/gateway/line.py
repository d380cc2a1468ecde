"""The calls of one worker that wait for one limit: in order, and one decision at a time."""

from __future__ import annotations

import asyncio
import bisect
import itertools
import math
from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple


def after(us: int) -> float:
    """Microseconds as seconds of a timer that is not early: it counts whole milliseconds, and rounds."""
    return math.ceil(us / 1000) / 1000 + 0.001


class Woken(Enum):
    """Why a call waits no longer."""

    TURN = auto()
    LATE = auto()
    """It has waited as long as it may."""
    GONE = auto()
    """Its caller has hung up."""
    STOPPING = auto()
    """This worker stops."""


class Waiter:
    """A call that waits. ``number``: of its arrival."""

    __slots__ = ("gone", "number", "woken")

    def __init__(self, number: int) -> None:
        self.number = number
        self.gone = False
        self.woken: asyncio.Future[Woken] = asyncio.get_running_loop().create_future()

    def wake(self, why: Woken) -> bool:
        """End its wait; False when something else has. One that has its turn learns at its end that its caller left."""
        self.gone = self.gone or why is Woken.GONE
        if self.woken.done():
            return False
        self.woken.set_result(why)
        return True

    def leave(self) -> None:
        """Its caller has hung up."""
        self.wake(Woken.GONE)

    @property
    def has_turn(self) -> bool:
        """It was given its turn, and does not know yet."""
        return self.woken.done() and not self.woken.cancelled() and self.woken.result() is Woken.TURN

    async def until_woken(self) -> Woken:
        """Wait, once more after a turn in vain."""
        why = await self.woken
        self.woken = asyncio.get_running_loop().create_future()
        return why


class LaneName(NamedTuple):
    """Whose calls wait behind each other at a limit. ``rank``: of their class, the lowest first."""

    rank: int = 0
    account: str = ""


EVERYONE = LaneName()
"""At a limit that is not shared."""


class Rest(NamedTuple):
    """For how long nothing passes (us): no call of the line, and no call of the lane that was decided."""

    line_us: int = 0
    lane_us: int = 0


class _Lane:
    """Calls in the order of their arrival. ``last_turn``: the number of the turn that one of them had last."""

    __slots__ = ("last_turn", "next_at", "rank", "waiters")

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.waiters: list[Waiter] = []
        self.next_at = 0.0
        self.last_turn = -1


class WaitingLine:
    """``next_at``: when its first call may be decided again, in the loop's time. ``ended``: called when it is empty.

    At a shared limit each account has a lane. Turns go round the lanes of the highest class that has calls; a lane that
    is above its share rests while the others go on. ``joined``: by every new call, since its lane alone lets none pass.
    """

    __slots__ = ("_again", "_deciding", "_ended", "_joined", "_lanes", "_loop", "_timer", "_turns", "name", "next_at")

    def __init__(self, name: str, *, ended: Callable[[str], None], joined: bool = False) -> None:
        self.name = name
        self._joined = joined
        self.next_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[LaneName, _Lane] = {}
        self._turns = itertools.count()
        self._deciding = self._again = False
        self._timer: asyncio.TimerHandle | None = None
        self._ended = ended

    def holds_up(self, name: LaneName) -> bool:
        """Whether a new call has to wait behind others."""
        if self._joined or name == EVERYONE:
            return True
        lane, now = self._lanes.get(name), self._loop.time()
        return now < self.next_at or (lane is not None and (bool(lane.waiters) or now < lane.next_at))

    def add(self, waiter: Waiter, name: LaneName = EVERYONE) -> None:
        """Let a call wait here, at the place that it has by its arrival."""
        bisect.insort(self._lane(name).waiters, waiter, key=lambda each: each.number)
        self._go_on()

    def remove(self, waiter: Waiter, name: LaneName = EVERYONE) -> None:
        """Let a call leave, if it is still here."""
        waiters = self._lane(name).waiters
        at = bisect.bisect_left(waiters, waiter.number, key=lambda each: each.number)
        if at < len(waiters) and waiters[at] is waiter:
            del waiters[at]
            self._go_on()

    def rest(self, rest: Rest, name: LaneName = EVERYONE) -> None:
        """Nothing comes free for so long: the first decision after that is not too early."""
        self.next_at = self._until(rest.line_us)
        self._lane(name).next_at = self._until(rest.lane_us)

    def end_turn(self, rest: Rest, name: LaneName = EVERYONE) -> None:
        """The decision of the call that had its turn was made."""
        self._deciding = False
        if self._again:
            rest, self._again = Rest(), False
        self.rest(rest, name)
        self._go_on()

    def freed(self) -> None:
        """Something has come free before it was due."""
        self._again = self._deciding
        self.next_at = 0.0
        for lane in self._lanes.values():
            lane.next_at = 0.0
        self._go_on()

    def _until(self, us: int) -> float:
        return self._loop.time() + after(us) if us else 0.0

    def _lane(self, name: LaneName) -> _Lane:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _Lane(name.rank)
        return lane

    def _go_on(self) -> None:
        """Give the next call its turn, or see to it that it gets it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while not self._deciding:
            now = self._loop.time()
            self._lanes = {name: lane for name, lane in self._lanes.items() if lane.waiters or now < lane.next_at}
            lanes = [lane for lane in self._lanes.values() if lane.waiters]
            if not lanes:
                self._ended(self.name)
                return
            next_at = max(self.next_at, min(lane.next_at for lane in lanes))
            if now < next_at:
                self._timer = self._loop.call_at(next_at, self._go_on)
                return
            lane = min((each for each in lanes if each.next_at <= now), key=lambda each: (each.rank, each.last_turn))
            lane.last_turn = next(self._turns)
            self._deciding = lane.waiters.pop(0).wake(Woken.TURN)  # unless its wait has just ended in another way
