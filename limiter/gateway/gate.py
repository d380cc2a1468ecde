"""One call of a caller who is known: decide, forward, record.

No ORM query and no thread hop on the way of a call whose tenant and key are held; no HTTP framework either.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from limiter.core.decision_ids import half_of
from limiter.core.store import Store
from limiter.core.types import MICROS, Decision
from limiter.core.window import Call, Stack
from limiter.demand.recorder import DemandRecorder
from limiter.gateway.callers import Caller, Callers
from limiter.gateway.content import Content
from limiter.gateway.forwarding import Forwarding
from limiter.gateway.giving_back import GivingBack
from limiter.gateway.invocation import InvokeRequest, InvokeTarget, Outcome
from limiter.gateway.learner import Learner
from limiter.gateway.named_waits import NamedWaits
from limiter.gateway.names import NAMELESS, Names
from limiter.gateway.overdue import Overdue
from limiter.gateway.paces import Paces
from limiter.gateway.problems import GatewayProblem, of_upstream
from limiter.gateway.recorder import Recorder
from limiter.gateway.targets import Targets
from limiter.gateway.waiting import Wait, Waiting
from limiter.live.snapshot import Snapshot
from limiter.outage.local import LocalShare
from limiter.outage.outage import Outage
from limiter.stores.errors import StoreError
from limiter.upstream import errors
from limiter.upstream.call import Flight, Upstream, UpstreamCall, UpstreamResponse
from limiter.upstream.dedupe import Dedupe, NotRepeated
from quota_platform.base.failures import Failures
from quota_platform.base.ids import new_id

_GIVEN_UP = errors.OutcomeUnknown("The call was given up while it ran.")


class Gateway:
    """Decides and forwards calls. One per worker and event loop."""

    def __init__(
        self,
        *,
        store: Store,
        snapshot: Snapshot,
        upstream: Upstream,
        local: LocalShare,
        recorder: Recorder,
        learner: Learner,
        overdue: Overdue,
        dedupe: Dedupe,
        failed_keys: Failures,
        waiting: Waiting | None = None,
        paces: Paces | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.snapshot = snapshot
        self.recorder = recorder
        self.learner = learner
        self.overdue = overdue
        self.waiting = waiting or Waiting()
        recorder.freed = self.waiting.freed
        self.outage = Outage(store, local, clock=clock)
        self.demand = DemandRecorder(store)
        self.giving_back = GivingBack(store)
        self.giving_back.freed = self.waiting.freed
        self.paces = paces or Paces(store)
        self.forwarding = Forwarding(
            upstream, recorder, learner, overdue, outage=self.outage, giving_back=self.giving_back, paces=self.paces
        )
        self.named_waits = NamedWaits()
        self.callers = Callers(snapshot, failed=failed_keys, clock=clock)
        self.decided = False
        """Whether any call was decided here."""
        self._dedupe = dedupe
        self._clock = clock
        self.targets = Targets(clock=clock)

    def target(self, caller: Caller, action_id: str) -> InvokeTarget:
        """What ``action_id`` means for this caller; raises Problem."""
        return self.targets.target(caller, action_id)

    async def decide(
        self,
        caller: Caller,
        target: InvokeTarget,
        *,
        request_id: str,
        charge: bool = True,
        patience_us: int | None = None,
        waited: bool = False,
        came_us: int = 0,
        late: bool = False,
        names: Names = NAMELESS,
    ) -> Decision:
        """Decide one call, in the store or, when it is unavailable, as the policy says; raises Problem for ``closed``.

        ``patience_us``, ``waited``: of a call that may wait (:mod:`limiter.gateway.waiting`), and when it came (us), if
        it has waited; ``late``: no decision was made for it before. ``names``: in which units are held.
        """
        call = Call(
            decision_id=half_of(new_id()) if charge else new_id(),  # a peek is recorded nowhere
            cost=target.cost,
            charge=charge,
            context=f"{caller.key_prefix}|{request_id}",
            patience_us=patience_us,
            waited=waited,
            returned=names.returned,
            client=names.client,
            itself=names.itself,
            late=late,
        )
        self.decided = True
        try:
            decision = await self.store.decide(target.bound.stack, call)
        except StoreError as error:
            alone = self.outage.decide(target.plan.store_failure, target.bound.stack, call, error)
            if charge:
                key, now_us = caller.key_prefix, self.now_us()
                self.demand.note_alone(target.bound.stack, key, alone, cost=call.cost, at_us=now_us)
            if alone is None:
                detail = "The limiter's store is unavailable and this policy lets no call pass without it."
                raise GatewayProblem(503, "limiter-unavailable", detail, retry_after_us=1_000_000) from error
            return alone
        if charge and not decision.waits:
            self.demand.note(target.bound.stack, caller.key_prefix, decision, came_us=came_us)
        if target.bound.stack.learned is not None and charge:
            self.learner.decided(target.bound.stack, decision)
        if self.outage.unavailable_since:
            self.outage.answered(target.bound.stack.subject.connection)
        if decision.paused_us and self.paces.wants(caller.entry.tenant.connection):
            self.paces.held(caller.entry.tenant.connection)
        return decision

    async def invoke(self, caller: Caller, target: InvokeTarget, request: InvokeRequest) -> Outcome:
        """Decide a call and make it when it is admitted; raises Problem.

        A repeat of a call whose response is remembered gets that response: nothing is decided and nothing charged.
        """
        call = self._upstream_call(caller, target, request)
        claim, wait, reserves = None, request.wait, target.bound.stack.reserves
        if wait is None and reserves:
            wait = Wait(0)
        if self._dedupe.wants(call):
            found = await self._dedupe.recall(call, waits_s=wait.seconds if wait else 0)
            if isinstance(found, UpstreamResponse):
                return Outcome(target=target, response=found)
            if isinstance(found, NotRepeated):
                raise GatewayProblem(found.status, found.kind, found.detail)
            claim = found
        ended: UpstreamResponse | errors.UpstreamError | None = None  # not made
        names = self.named_waits.names_of(caller.key_prefix, call, reserves=reserves)
        try:
            if wait is None:
                decision = await self.decide(caller, target, request_id=call.request_id, names=names)
            else:
                attempt = _Attempt(self, caller, target, call, names)
                key, departure = caller.key_prefix, request.departure
                decision = await self.waiting.decide(attempt, wait, key=key, departure=departure)
                target = attempt.target
            target = self.targets.counted(caller, target, decision)
            if not decision.allowed:
                self.named_waits.refused(caller.key_prefix, call, decision)
                return Outcome(target=target, decision=decision)
            ended = _GIVEN_UP
            ended = await self.forwarding.make(target, call, decision)
            return Outcome(target=target, response=ended, decision=decision)
        except errors.UpstreamError as error:
            ended = error
            raise of_upstream(error, decision) from error
        finally:
            if claim is not None:
                await self._dedupe.remember(claim, ended)

    def _upstream_call(self, caller: Caller, target: InvokeTarget, request: InvokeRequest) -> UpstreamCall:
        tenant = caller.entry.tenant
        return UpstreamCall(
            connection=tenant.connection,
            action=target.action,
            tenant_id=tenant.tenant_id,
            request_id=request.request_id,
            body=request.body,
            headers=request.headers,
            idempotency_key=request.headers.get("idempotency-key"),
            flight=None if target.plan.adaptive is None else Flight(),
        )

    def release(self, target: InvokeTarget, decision: Decision) -> None:
        """End an admitted call that this gateway does not forward."""
        self.forwarding.end(target, decision, "checked", None)

    def undo(self, target: InvokeTarget, decision: Decision) -> None:
        """End an admitted call that is not made, and give back its units."""
        self.forwarding.end(target, decision, "not_sent", None)
        self.forwarding.give_back(target, decision)

    def now_us(self) -> int:
        """By this worker's clock, in microseconds since the epoch."""
        return int(self._clock() * MICROS)

    @property
    def degraded_since(self) -> float | None:
        """Since when the store has not answered for one of the connections; in a cluster each has a node of its own."""
        return min(self.outage.unavailable_since.values(), default=None)

    @property
    def connections_seen(self) -> set[int]:
        """The connections that this worker has decided calls of."""
        return self.targets.stacks.connections

    async def close(self) -> None:
        await self.waiting.close()
        await self.paces.drain()
        await self.giving_back.close()
        await self.learner.close()
        await self.overdue.close()
        await self.recorder.close()
        await self.demand.close()
        await self.outage.close()


class _Attempt:
    """A call that may wait: every decision is made by the policy that is in force then."""

    def __init__(
        self, gateway: Gateway, caller: Caller, target: InvokeTarget, call: UpstreamCall, names: Names
    ) -> None:
        self.target = target
        self._gateway = gateway
        self._caller = caller
        self._request_id = call.request_id
        self._content = Content(call.body, call.headers)
        self._came_us = gateway.now_us()
        self._names = names
        self._asked = False

    @property
    def stack(self) -> Stack:
        return self.target.bound.stack

    async def decide(self, *, patience_us: int | None, waited: bool) -> Decision:
        gateway, late = self._gateway, waited and not self._asked
        self._asked = True
        if waited:
            self._caller = gateway.callers.again(self._caller)
            target = gateway.target(self._caller, self.target.action.action_id)
            self.target = gateway.targets.charged(self._caller, target, self._content)
        return await gateway.decide(
            self._caller,
            self.target,
            request_id=self._request_id,
            patience_us=patience_us,
            waited=waited,
            came_us=self._came_us if waited else 0,
            late=late,
            names=self._names,
        )

    def undo(self, decision: Decision) -> None:
        gateway = self._gateway
        gateway.undo(gateway.targets.counted(self._caller, self.target, decision), decision)
