"""Making an admitted call: it is forwarded, its end is recorded, and units that were not used are given back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from limiter.core.giving_back import Charge
from limiter.core.store import EndedCall
from limiter.core.types import Decision
from limiter.gateway import outcomes
from limiter.gateway.giving_back import GivingBack
from limiter.gateway.invocation import InvokeTarget
from limiter.gateway.learner import Learner
from limiter.gateway.overdue import Overdue
from limiter.gateway.paces import Paces
from limiter.gateway.recorder import Recorder
from limiter.outage.outage import Outage
from limiter.upstream import errors
from limiter.upstream.call import Upstream, UpstreamCall, UpstreamResponse


@dataclass(slots=True)
class Forwarding:
    """One per gateway: where the calls that it admits go, and what hears of their ends."""

    upstream: Upstream
    recorder: Recorder
    learner: Learner
    overdue: Overdue
    outage: Outage
    giving_back: GivingBack
    paces: Paces

    async def make(self, target: InvokeTarget, call: UpstreamCall, decision: Decision) -> UpstreamResponse:
        """Make an admitted call and see to it that its end is recorded."""
        if call.flight is not None and target.plan.adaptive is not None:
            self.overdue.began(call.flight, target.bound.ends.multiplier_scope, target.plan.adaptive)
        try:
            response = await self.upstream.invoke(call)
        except errors.UpstreamError as error:
            self.end(target, decision, outcomes.of_error(error), error.latency_us, error.pushback)
            if error.may_have_run and self.paces.wants(call.connection):
                self.paces.ran(call.connection, latency_us=error.latency_us)
            if outcomes.did_not_run(error):
                self.give_back(target, decision)
            raise
        except BaseException:
            self.end(target, decision, "unknown", None)
            raise
        finally:
            if call.flight is not None:
                self.overdue.ended(call.flight)
        outcome = outcomes.of_response(response)
        if self.paces.wants(call.connection) and (response.ok or not response.pushback):
            self.paces.ran(call.connection, latency_us=response.latency_us)
        if response.chunks is None:
            self.end(target, decision, outcome, response.latency_us, response.pushback)
        else:
            response.chunks = self._until_end(response, response.chunks, target, decision, outcome)
        return response

    def end(
        self, target: InvokeTarget, decision: Decision, outcome: str, latency_us: int | None, pushback: bool = False
    ) -> None:
        """Record how an admitted call ended."""
        stack = target.bound.stack
        if decision.degraded:
            self.outage.ended(stack, decision)
        elif stack.learned is not None:
            self.learner.ended(stack)
        ended = EndedCall(decision.decision_id, outcome, latency_us=latency_us, pushback=pushback)
        self.recorder.record(target.bound.ends, ended, target.plan.adaptive)

    def give_back(self, target: InvokeTarget, decision: Decision) -> None:
        """A decision made without the store charged none of its limits."""
        if not decision.degraded:
            self.giving_back.give_back(target.bound.stack, Charge.of(decision))

    async def _until_end(
        self,
        response: UpstreamResponse,
        chunks: AsyncIterator[bytes],
        target: InvokeTarget,
        decision: Decision,
        outcome: str,
    ) -> AsyncIterator[bytes]:
        """The chunks as they come; the call has ended when they have, or when the caller is gone."""
        try:
            async for chunk in chunks:
                yield chunk
        except (errors.OutcomeUnknown, asyncio.CancelledError, GeneratorExit):
            outcome = "unknown"
            raise
        finally:
            self.end(target, decision, outcome, response.latency_us, response.pushback)
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()  # the upstream's connection is free with the slot
