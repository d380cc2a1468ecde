"""The calls of one worker that wait for one limit: in order, and one decision at a time."""

from __future__ import annotations

import asyncio
import bisect
import math
from collections.abc import Callable
from enum import Enum, auto


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
    """A call that waits. ``rank``: of its class, the lowest first; within a class the order of arrival decides."""

    __slots__ = ("gone", "place", "woken")

    def __init__(self, number: int, *, rank: int = 0) -> None:
        self.place = rank, number
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


class Line:
    """``next_at``: when its first call may be decided again, in the loop's time. ``ended``: called when it is empty."""

    __slots__ = ("_again", "_deciding", "_ended", "_loop", "_timer", "_waiters", "name", "next_at")

    def __init__(self, name: str, *, ended: Callable[[str], None]) -> None:
        self.name = name
        self.next_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._waiters: list[Waiter] = []
        self._deciding = self._again = False
        self._timer: asyncio.TimerHandle | None = None
        self._ended = ended

    def add(self, waiter: Waiter) -> None:
        """Let a call wait here, at the place that it has by its arrival."""
        bisect.insort(self._waiters, waiter, key=lambda each: each.place)
        self._go_on()

    def remove(self, waiter: Waiter) -> None:
        """Let a call leave, if it is still here."""
        at = bisect.bisect_left(self._waiters, waiter.place, key=lambda each: each.place)
        if at < len(self._waiters) and self._waiters[at] is waiter:
            del self._waiters[at]
            self._go_on()

    def rest(self, us: int) -> None:
        """Nothing comes free for so long: the first decision after that is not too early."""
        self.next_at = self._loop.time() + after(us) if us else 0.0

    def end_turn(self, rests_us: int) -> None:
        """The decision of the call that had its turn was made; the next one's is due in so many microseconds."""
        self._deciding = False
        if self._again:
            rests_us, self._again = 0, False
        self.rest(rests_us)
        self._go_on()

    def freed(self) -> None:
        """Something has come free before it was due."""
        self._again = self._deciding
        self.next_at = 0.0
        self._go_on()

    def _go_on(self) -> None:
        """Give the first call its turn, or see to it that it gets it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._deciding:
            return
        if not self._waiters:
            self._ended(self.name)
        elif self._loop.time() < self.next_at:
            self._timer = self._loop.call_at(self.next_at, self._go_on)
        else:
            self._deciding = self._waiters.pop(0).wake(Woken.TURN)
            if not self._deciding:  # it has just ended its wait in another way
                self._go_on()
