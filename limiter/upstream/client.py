"""The way to upstreams: token, request, repeats, deadline and breaker around one call. One client per worker."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import replace
from typing import Any, cast

import redis.asyncio
from yarl import URL

from limiter.upstream import failures, fields
from limiter.upstream.attempts import CallAttempts, PushedBack, Retrying, retry_after_s, unheard
from limiter.upstream.call import UnitStatus, UpstreamCall, UpstreamResponse
from limiter.upstream.clock import Clock
from limiter.upstream.conduct import KeepAlive, Origin
from limiter.upstream.errors import Disabled, NotConfigured, OutcomeUnknown, Overloaded, Unreachable, UpstreamError
from limiter.upstream.exchange import Exchange, UpstreamRequest, give_up
from limiter.upstream.health import ConnectionFault
from limiter.upstream.lanes import Lane, Lanes, Prepared, UnitState
from limiter.upstream.pins import Lookup, Pins, system_lookup
from limiter.upstream.retry import Draws, OwnDraws, Verdict
from limiter.upstream.tokens import AccessToken, ThreadedMint, TokenCache
from limiter.upstream.vault import Vault

SOUR_S = 10.0
"""After a brand-new token got a 401 too, no other is asked for this long."""
_NOT_MODIFIED = 304


class Client:
    """Implements :class:`~limiter.upstream.call.Upstream`. Make it in the running loop; close it there.

    ``redis`` None: tokens live in this process alone. ``sandbox_hosts``: the SANDBOX_HOSTS setting. ``draws``: the
    budget of retries; None: this client has its own.
    """

    def __init__(
        self,
        *,
        redis: redis.asyncio.Redis | None,
        pool_size: int,
        sandbox_hosts: Iterable[str] = (),
        clock: Clock | None = None,
        lookup: Lookup = system_lookup,
        keep_alive: KeepAlive | None = None,
        pushed_back: PushedBack = unheard,
        draws: Draws | None = None,
    ) -> None:
        self._pushed_back = pushed_back
        self._clock = clock or Clock()
        pinned = Pins(sandbox_hosts=sandbox_hosts, lookup=lookup)
        self._exchange = Exchange(pinned=pinned, pool_size=pool_size, wall=self._clock.wall, keep_alive=keep_alive)
        self._mint = ThreadedMint(pinned=pinned, clock=self._clock)
        self._tokens = TokenCache(vault=Vault(redis), mint=self._mint, clock=self._clock)
        self._retrying = Retrying(clock=self._clock, pushed_back=pushed_back, draws=draws or OwnDraws())
        self._lanes = Lanes(sandbox_hosts=pinned.sandbox_hosts, monotonic=self._clock.monotonic)

    async def close(self) -> None:
        await self._tokens.close()
        self._mint.close()
        await self._exchange.close()

    def units(self) -> dict[str, UnitStatus]:
        """Per connection uid, for metrics and people."""
        return {uid: self._status(unit) for uid, unit in self._lanes.units.items()}

    def _status(self, unit: UnitState) -> UnitStatus:
        counts = unit.calls, unit.failures, unit.repeats, unit.pushbacks
        seen = UnitStatus(unit.name, *counts, unit.breaker.state, id=unit.id)
        if unit.origin is None:
            return seen
        conduct = self._exchange.conduct(unit.origin)
        seen = replace(seen, unsolicited=conduct.unsolicited, ended_idle=conduct.ended_idle)
        if left_s := conduct.left_s:
            until = self._clock.wall() + left_s
            return replace(seen, without_keep_alive_until=until, without_keep_alive_why=conduct.reason)
        return seen

    def invoke(self, call: UpstreamCall) -> Coroutine[Any, Any, UpstreamResponse]:
        """Make the call; raises :class:`~limiter.upstream.errors.UpstreamError`.

        No coroutine of its own, which each wait within a call would pass through.
        """
        if not call.connection.enabled:
            raise Disabled("The connection to the upstream is switched off.")
        lane = self._lanes.get(call.connection)
        prepared = lane.actions.get(call.action) or lane.prepare(call.action)
        target = prepared.plan.target(call.body, tenant_id=call.tenant_id)
        return self._attempt_until_done(CallAttempts(call, lane, prepared, target))

    async def _attempt_until_done(self, attempts: CallAttempts) -> UpstreamResponse:
        lane = attempts.lane
        attempts.probe = lane.unit.breaker.admit()
        attempts.began = self._clock.monotonic()
        lane.unit.calls += 1
        lane.unit.budget.earn()
        try:
            while True:
                outcome: UpstreamResponse | UpstreamError
                try:
                    outcome = await self._attempt(attempts)
                    if outcome.judged < 300 and not attempts.pushback and not lane.unit.sour_until:
                        outcome.ok = outcome.status in attempts.prepared.spec.success_statuses
                        outcome.attempts = attempts.sent
                        return outcome
                except UpstreamError as error:
                    outcome = error
                if not await self._retrying.may_go_on(attempts, outcome):
                    return await self._conclude(attempts, outcome)
                if isinstance(outcome, UpstreamResponse):
                    await give_up(outcome)
        finally:
            if attempts.probe:
                lane.unit.breaker.abandon()

    async def _attempt(self, attempts: CallAttempts) -> UpstreamResponse:
        """Send the call once and tell the breaker how it went."""
        lane, prepared, call = attempts.lane, attempts.prepared, attempts.call
        token = self._tokens.peek(lane.mark)
        first = token is not None and not attempts.sent
        if token is None:
            token = await self._token(attempts)
        attempts.sent += 1
        url = self._url(lane, prepared, attempts.target, token)
        request = UpstreamRequest(
            call.tenant_id,
            cast(Origin, lane.origin),
            prepared.plan.method,
            url,
            fields.to_upstream(
                call.headers,
                authorization=token.header,
                request_id=call.request_id,
                sends_body=prepared.plan.sends_body,
            ),
            call.body if prepared.plan.sends_body else None,
            prepared.patience if first else lane.patience(attempts.left_s(self._clock)),
            lane.connection.max_response_bytes,
            lane.preset.rate_headers,
            bool(prepared.spec.failure_at),
            call.flight,
        )
        try:
            response = await self._exchange.send(request)
        except UpstreamError as error:
            self._record(attempts, failed=isinstance(error, Unreachable | OutcomeUnknown))
            raise
        if prepared.spec.failure_at:
            response.counts_as = failures.status_of(prepared.spec, response)
        self._record(attempts, failed=response.judged >= 500)
        if response.spent_for_s is not None and response.judged not in lane.preset.overload:
            self._pushed_back(lane.connection, response.status, response.spent_for_s, None)
        if response.status == 401 and not attempts.renewed and self._clock.monotonic() >= lane.unit.sour_until:
            await self._tokens.refuse(lane.connection, lane.mark, token)
        return response

    def _url(self, lane: Lane, prepared: Prepared, target: str, token: AccessToken) -> URL:
        if token.api_base != lane.base:
            lane.use_base(token.api_base)
        if prepared.url is not None:
            return prepared.url
        url = URL(lane.base + target, encoded=True)
        if prepared.plan.fixed is not None:
            prepared.url = url
        return url

    async def _token(self, attempts: CallAttempts) -> AccessToken:
        try:
            async with asyncio.timeout(attempts.left_s(self._clock)):
                return await self._tokens.get(attempts.lane.connection, attempts.lane.mark)
        except TimeoutError:
            raise Unreachable("No access token was to be had from the upstream in time.") from None

    def _record(self, attempts: CallAttempts, *, failed: bool) -> None:
        if failed:
            attempts.lane.unit.failures += 1
        attempts.lane.unit.breaker.record(failed=failed, probe=attempts.probe)
        attempts.probe = False

    async def _conclude(self, attempts: CallAttempts, outcome: UpstreamResponse | UpstreamError) -> UpstreamResponse:
        """The last outcome as the caller gets it."""
        if isinstance(outcome, UpstreamResponse):
            error = await self._as_error(attempts, outcome)
            if error is None:
                outcome.attempts = attempts.sent
                outcome.pushback = attempts.pushback
                outcome.ok = outcome.judged in attempts.prepared.spec.success_statuses
                return outcome
            await give_up(outcome)
        else:
            error = outcome
        error.attempts = attempts.sent
        error.may_have_run = attempts.may_have_run
        error.pushback = attempts.pushback
        raise error

    async def _as_error(self, attempts: CallAttempts, response: UpstreamResponse) -> UpstreamError | None:
        """What a response amounts to that is not the caller's to see; None when it is."""
        if response.status == 401:
            await self._sour(attempts.lane, seen=attempts.renewed)
            return NotConfigured("The upstream does not accept this platform's access token.")
        if 300 <= response.status < 400 and response.status != _NOT_MODIFIED:
            return NotConfigured("The upstream answered with a redirect, which is not followed.")
        if attempts.verdict is Verdict.REPEAT and response.judged in attempts.lane.preset.overload:
            # The pause that the call began: until its end the call is held back; the upstream's wait may be another.
            wait_us = None if attempts.paused is None else await attempts.paused
            if wait_us is None and (waits := retry_after_s(response)) is not None:
                wait_us = int(waits * 1_000_000)
            detail = "The upstream itself refused the call for load; this is not your quota."
            return Overloaded(detail, retry_after_us=wait_us)
        if attempts.lane.unit.sour_until and response.status < 400:
            attempts.lane.unit.sour_until = 0.0
            await self._tokens.note(attempts.lane.connection, None)
        return None

    async def _sour(self, lane: Lane, *, seen: bool) -> None:
        """A brand-new token was refused: say so, and leave the token endpoint alone for a while."""
        if not seen:
            return
        lane.unit.sour_until = self._clock.monotonic() + SOUR_S
        wall = self._clock.wall()
        fault = ConnectionFault(
            reason="The upstream responds 401 to a token that it has just issued. Check the account's rights and the"
            " base URL.",
            since=wall,
            retry_at=wall,
            failures=1,
            lasting=True,
            fingerprint=lane.mark,
        )
        await self._tokens.note(lane.connection, fault)
