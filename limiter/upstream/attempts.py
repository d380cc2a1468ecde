"""Whether a call is attempted again, and when: its verdict, its connection's budget, and the upstream's own wait."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from limiter.core.types import MICROS
from limiter.upstream import retry
from limiter.upstream.breaker import BreakerState
from limiter.upstream.call import UpstreamCall, UpstreamResponse
from limiter.upstream.clock import Clock
from limiter.upstream.errors import UpstreamError
from limiter.upstream.lanes import Lane, Prepared
from limiter.upstream.retry import Draws, Verdict
from tenants.directory import ConnectionSpec


@dataclass(slots=True, eq=False)
class CallAttempts:
    """One call on its way. ``target``: path and query. ``began``: monotonic seconds."""

    call: UpstreamCall
    lane: Lane
    prepared: Prepared
    target: str
    probe: bool = False
    began: float = 0.0
    sent: int = 0
    repeats: int = 0
    renewed: bool = False
    pushback: bool = False
    paused: Awaitable[int | None] | None = None
    may_have_run: bool = False
    verdict: Verdict = Verdict.DONE

    def left_s(self, clock: Clock) -> float:
        """Until its deadline."""
        return max(0.001, self.prepared.budget_s - (clock.monotonic() - self.began))


PushedBack = Callable[[ConnectionSpec, int, float | None, int | None], Awaitable[int | None] | None]
"""Hears at once of every attempt that was turned away for load, or that took the last of the upstream's limit: the
status, the seconds to wait, and for how long (us) the first attempt of a call was under way; None for another attempt.
It returns how long calls are paused from then on (us; None: unknown), once that is known, or None where they are not.
"""


def unheard(connection: ConnectionSpec, status: int, wait_s: float | None, took_us: int | None) -> None:
    """Of a client whose store hears of no pushback."""


class Retrying:
    """One per client."""

    def __init__(self, *, clock: Clock, pushed_back: PushedBack, draws: Draws) -> None:
        self._clock = clock
        self._pushed_back = pushed_back
        self._draws = draws

    async def may_go_on(self, attempts: CallAttempts, outcome: UpstreamResponse | UpstreamError) -> bool:
        """Decide about another attempt, and wait for its time."""
        waits = self._judge(attempts, outcome)
        attempts.may_have_run |= retry.may_have_run(
            outcome, says_when=waits is not None, overload=attempts.lane.preset.overload
        )
        if attempts.verdict is Verdict.RENEW_TOKEN:
            if attempts.renewed or self._clock.monotonic() < attempts.lane.unit.sour_until:
                return False
            attempts.renewed = True
            return True
        if attempts.verdict is Verdict.DONE or attempts.repeats >= attempts.lane.connection.max_retries:
            return False
        pause_s = self._backoff_s(attempts)
        if waits is not None:
            pause_s = max(pause_s, self._above(waits))
        if pause_s >= attempts.left_s(self._clock) or attempts.lane.unit.breaker.state is not BreakerState.CLOSED:
            return False
        return await self._retried(attempts, pause_s)

    def _judge(self, attempts: CallAttempts, outcome: UpstreamResponse | UpstreamError) -> float | None:
        """Set the verdict; the response's Retry-After in seconds, if it has one."""
        idempotent = attempts.prepared.spec.idempotent
        if isinstance(outcome, UpstreamError):
            # Without an attempt it was the token that was not to be had; its renewal has its own repeats.
            attempts.verdict = retry.verdict_on_error(outcome, idempotent=idempotent) if attempts.sent else Verdict.DONE
            return None
        overload = attempts.lane.preset.overload
        waits = retry_after_s(outcome)
        attempts.verdict = retry.verdict(
            outcome.judged, says_when=waits is not None, idempotent=idempotent, overload=overload
        )
        if outcome.judged in overload:
            attempts.pushback = True
            attempts.lane.unit.pushbacks += 1
            wait_s = outcome.spent_for_s if waits is None else waits
            took_us = outcome.latency_us if attempts.sent == 1 else None
            attempts.paused = self._pushed_back(attempts.lane.connection, outcome.judged, wait_s, took_us)
        return waits

    def _backoff_s(self, attempts: CallAttempts) -> float:
        preset = attempts.lane.preset
        return retry.backoff_s(
            attempts.repeats + 1,
            base_s=preset.backoff_base_s,
            factor=preset.backoff_factor,
            chance=self._clock.chance(),
        )

    def _above(self, wait_s: float) -> float:
        return retry.above(wait_s, chance=self._clock.chance())

    async def _retried(self, attempts: CallAttempts, pause_s: float) -> bool:
        """Draw on the connection's budget, and wait: this long, and while the upstream takes no calls."""
        unit, connection = attempts.lane.unit, attempts.lane.connection
        drawn = await self._draws.draw(connection, unit.budget, within_s=attempts.left_s(self._clock))
        if not drawn.granted:
            return False
        while pause_s < attempts.left_s(self._clock):
            await self._clock.sleep(pause_s)
            turn = await self._draws.turn(connection, within_s=attempts.left_s(self._clock))
            if turn.granted:
                if turn.wait_us:
                    await self._clock.sleep(turn.wait_us / MICROS)
                attempts.repeats += 1
                unit.repeats += 1
                return True
            pause_s = self._above(turn.wait_us / MICROS)
        return False


def retry_after_s(response: UpstreamResponse) -> float | None:
    """The wait that the response names; only a valid value, in seconds, has passed :func:`fields.from_upstream`."""
    return next((float(value) for field, value in response.headers if field == "Retry-After"), None)
