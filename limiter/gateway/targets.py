"""The meaning of a call: its action, the plan that decides it, and what its content is charged to."""

from __future__ import annotations

import time
from collections.abc import Callable

from limiter.core.types import Decision
from limiter.gateway.callers import Caller
from limiter.gateway.content import Content, cost_of, values_of
from limiter.gateway.invocation import InvokeTarget
from limiter.gateway.problems import GatewayProblem
from limiter.gateway.stacks import Stacks
from limiter.policies.compiled import PolicyUnavailable
from tenants.cost import nominal
from tenants.directory import unlisted_action
from tenants.models.names import is_name


class Targets:
    """One per worker and event loop."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.stacks = Stacks()
        self._clock = clock

    def target(self, caller: Caller, action_id: str) -> InvokeTarget:
        """What ``action_id`` means for this caller; raises Problem."""
        tenant = caller.entry.tenant
        action = tenant.actions.get(action_id)
        if action is None:
            if not tenant.accept_unlisted_actions or not is_name(action_id):
                raise GatewayProblem(404, "action-unknown", f"Tenant {tenant.tenant_id} has no action of this ID.")
            action = unlisted_action(tenant.connection, action_id)
        if not action.enabled:
            raise GatewayProblem(403, "action-disabled", f"Action {action_id} is switched off.")
        try:
            plan = caller.entry.plan(action_id, self._clock())
        except PolicyUnavailable as error:
            raise GatewayProblem(503, "policy-unavailable", str(error), retry_after_us=5_000_000) from error
        bound = self.stacks.bound(plan, caller, action_id)
        return InvokeTarget(action, plan, bound, nominal(action))

    def charged(self, caller: Caller, target: InvokeTarget, content: Content) -> InvokeTarget:
        """What a call with this content is charged, and by which limits, where that decides it; raises Problem."""
        cost_from, counted_by = target.action.cost_from, target.plan.counted_by
        if not (cost_from or counted_by):
            return target
        pointers = [place for place in (cost_from, *counted_by) if place.startswith("/")]
        payload = content.payload(pointers) if pointers else None
        if cost_from:
            target = target._replace(cost=cost_of(target.action, payload))
        if counted_by:
            values = values_of(counted_by, content, payload)
            target = target._replace(bound=self.stacks.of_values(target.bound, caller.entry.tenant, values))
        return target

    def counted(self, caller: Caller, target: InvokeTarget, decision: Decision) -> InvokeTarget:
        """The same as it was counted: a value above a limit's bound together with the others above it."""
        if not decision.overflowed:
            return target
        values = tuple(state.limit.value for state in decision.states if state.limit.counted_by)
        base = self.stacks.bound(target.plan, caller, target.action.action_id)
        return target._replace(bound=self.stacks.of_values(base, caller.entry.tenant, values))
