"""One count of a tenant, found by names and forgotten on a person's wish."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from limiter.core.in_flight import IN_FLIGHT
from limiter.core.types import CountedPer, Limit, LimitState
from limiter.core.window import Stack
from limiter.gateway.callers import Caller
from limiter.gateway.gate import Gateway
from limiter.gateway.invocation import InvokeTarget
from limiter.stores.errors import StoreUnavailable


@dataclass(frozen=True, slots=True)
class Counter:
    """A limit as it counts for one subject, and its state when it was looked up."""

    stack: Stack
    limit: Limit
    state: LimitState


async def find(
    gateway: Gateway, tenant_id: str, *, limit_name: str, action_id: str = "", key_prefix: str = ""
) -> Counter:
    """The count of a limit in force: of an action, of a key, or with neither of all the tenant's calls.

    Raises LookupError when no such limit is in force, Problem when the tenant cannot be decided for, and
    StoreUnavailable.
    """
    caller = (await gateway.callers.on_behalf(tenant_id))._replace(key_prefix=key_prefix)
    per = {CountedPer.TENANT, CountedPer.CONNECTION} if not key_prefix else {CountedPer.KEY}
    per = {CountedPer.ACTION} if action_id else per
    for target in _targets(gateway, caller, action_id):
        for limit in target.bound.stack.limits:
            if limit.name == limit_name != IN_FLIGHT and limit.counted_per in (
                {CountedPer.ACTION} if action_id else per
            ):
                return await _looked_up(gateway, caller, target, limit)
    raise LookupError(limit_name)


def _targets(gateway: Gateway, caller: Caller, action_id: str) -> Iterator[InvokeTarget]:
    if action_id:
        yield gateway.target(caller, action_id)
        return
    for action in caller.entry.tenant.actions.values():
        if action.enabled:
            yield gateway.target(caller, action.action_id)


async def _looked_up(gateway: Gateway, caller: Caller, target: InvokeTarget, limit: Limit) -> Counter:
    decision = await gateway.decide(caller, target, request_id="", charge=False)
    if decision.degraded:
        raise StoreUnavailable("the store is unavailable: its counts can be neither read nor reset")
    state = next(state for state in decision.states if state.limit == limit)
    return Counter(target.bound.stack, limit, state)


async def reset(gateway: Gateway, counter: Counter) -> None:
    """Let it count from nothing again, for every worker's next decision; raises StoreError."""
    await gateway.store.forget(counter.stack, counter.limit)
