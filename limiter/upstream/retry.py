"""When a call may be repeated, and how long to wait first."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Protocol

from limiter.core.retrying import CALLS_EACH, SAVED, Turn
from limiter.upstream.call import UpstreamResponse
from limiter.upstream.errors import OutcomeUnknown, Unreachable, UpstreamError
from tenants.directory import ConnectionSpec

LONGEST_BACKOFF_S = 60.0
SHORTEST_SPREAD_S, LONGEST_SPREAD_S = 0.1, 5.0
LONGEST_RETRY_AFTER_S = 86_400.0
"""A longer wait of an upstream is cut to this."""
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def retry_after_s(value: str | None, *, date: str | None, wall: float) -> float | None:
    """Seconds that a Retry-After asks to wait; None when it is not valid.

    RFC 9110 10.2.3: whole seconds, or an HTTP date. A date is measured against ``date``, the Date of the same
    response, so that the two clocks need not agree; without one, against ``wall``, epoch seconds here. A date that has
    passed means no wait.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        digits = value.lstrip("0")
        seconds = float(digits or 0) if len(digits) < 9 else LONGEST_RETRY_AFTER_S
    else:
        at, now = _http_date(value), _http_date(date)
        if at is None:
            return None
        seconds = max(0.0, at - (wall if now is None else now))
    return min(seconds, LONGEST_RETRY_AFTER_S)


def _http_date(value: str | None) -> float | None:
    """Epoch seconds of a date in one of the three forms of RFC 9110 5.6.7; None for anything else."""
    value = (value or "").strip()
    if not value.startswith(_DAYS):
        return None
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()


def backoff_s(repeat: int, *, base_s: float, factor: float, chance: float) -> float:
    """Full jitter: a random wait, ``chance`` in [0, 1) of one that grows with each ``repeat`` (1, 2, …)."""
    longest: float = min(LONGEST_BACKOFF_S, base_s * factor ** (repeat - 1))
    return chance * longest


def above(said_s: float, *, chance: float) -> float:
    """A wait a little longer than the upstream's, so that not all who got it come back at once."""
    return said_s + chance * min(LONGEST_SPREAD_S, max(SHORTEST_SPREAD_S, said_s / 10))


class Budget:
    """A worker's part of a connection's retries: a tenth of its calls, and those saved up.

    Without a budget each call that an upstream turns away would become several, and make its overload worse.
    ``calls``: those that the budget of all workers does not have yet. ``left``: in calls, of which a retry takes ten.
    """

    __slots__ = ("calls", "left")

    def __init__(self) -> None:
        self.calls = 0
        self.left = SAVED * CALLS_EACH

    def earn(self) -> None:
        """One more call."""
        self.left = min(SAVED * CALLS_EACH, self.left + 1)
        self.calls += 1

    def spend(self, *, saved: int = SAVED) -> bool:
        """Whether one more retry may be made, if no more than ``saved`` are saved up."""
        self.left = min(self.left, saved * CALLS_EACH)
        if self.left < CALLS_EACH:
            return False
        self.left -= CALLS_EACH
        return True


class Draws(Protocol):
    """Where a connection's retries come from."""

    async def draw(self, connection: ConnectionSpec, budget: Budget, *, within_s: float) -> Turn:
        """A retry, if one is left that can be sent within so long. ``budget``: this worker's part."""
        ...

    async def turn(self, connection: ConnectionSpec, *, within_s: float) -> Turn:
        """The place of a retry that was granted: it is sent after the wait. None while a pause lasts."""
        ...


class OwnDraws:
    """The budget of a client that shares none."""

    async def draw(self, connection: ConnectionSpec, budget: Budget, *, within_s: float) -> Turn:
        return Turn(budget.spend(), 0)

    async def turn(self, connection: ConnectionSpec, *, within_s: float) -> Turn:
        return Turn(True, 0)


class Verdict(Enum):
    """What to do about one attempt's outcome."""

    DONE = auto()
    RENEW_TOKEN = auto()
    REPEAT = auto()


_FAILED = frozenset({500, 502, 503, 504})


def verdict(status: int, *, says_when: bool, idempotent: bool, overload: frozenset[int]) -> Verdict:
    """For a response. ``says_when``: it has a usable Retry-After, so an overload status means "not done, come back".

    A call that may have run is repeated only if it is idempotent; a 429 did not run.
    """
    if status < 400:
        return Verdict.DONE
    if status == 401:
        return Verdict.RENEW_TOKEN
    if status == 429 or (status in overload and says_when):
        return Verdict.REPEAT
    return Verdict.REPEAT if idempotent and (status in _FAILED or status in overload) else Verdict.DONE


def may_have_run(outcome: UpstreamResponse | UpstreamError, *, says_when: bool, overload: frozenset[int]) -> bool:
    """Whether an attempt that was not answered for good may have done its work; one that was turned away did not."""
    if isinstance(outcome, UpstreamError):
        return isinstance(outcome, OutcomeUnknown)
    return outcome.judged != 429 and not (says_when and outcome.judged in overload)


def verdict_on_error(error: UpstreamError, *, idempotent: bool) -> Verdict:
    """For an attempt that brought no response."""
    if isinstance(error, Unreachable) or (isinstance(error, OutcomeUnknown) and idempotent):
        return Verdict.REPEAT
    return Verdict.DONE
