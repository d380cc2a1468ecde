"""A worker's limits bound to subjects, kept so that a call binds nothing."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, TypedDict

from limiter.core import headers, in_flight
from limiter.core.ends import LearningSettings
from limiter.core.shape import Learned
from limiter.core.types import MICROS, PPM, CountedPer, Decision, Limit, Portion, ServiceClass, Subject
from limiter.core.window import Stack
from limiter.gateway.callers import Caller
from limiter.policies.plan import EffectivePolicy, bind
from limiter.policies.portions import portion
from quota_platform.base.lru import Lru
from tenants.directory import ConnectionSpec, TenantSpec

_KEPT = 20_000
_KEPT_OF_VALUES = 5_000
"""Stacks of single values, which callers choose: they push no other out."""
_LEASE_MARGIN_S = 10
"""A call whose worker died is in flight for its deadline, and so much longer."""


class PolicyHeader:
    """``RateLimit-Policy`` of a plan: its limits as they are in force, written anew when the multiplier moves.

    ``whole``: as it is while nothing is cut.
    """

    __slots__ = ("_ppm", "_text")

    def __init__(self, whole: str) -> None:
        self._ppm, self._text = PPM, whole

    def text(self, decision: Decision) -> str:
        """As it was decided; "" when nothing is enforced."""
        if decision.multiplier_ppm != self._ppm:
            self._ppm, self._text = decision.multiplier_ppm, headers.policy_in_force(decision)
        return self._text


class Bound(NamedTuple):
    """A plan bound to a subject, with the header that has its limits.

    ``ends``: the stack under which ends of calls are recorded: for all values together as long as they hold no slots.
    """

    plan: EffectivePolicy
    stack: Stack
    policy_header: PolicyHeader
    ends: Stack


class Stacks:
    """The most recently used stacks. One that was bound from an older plan is bound anew."""

    def __init__(self) -> None:
        self._kept: Lru[tuple[int, str, str, str, str], Bound] = Lru(_KEPT)
        self._of_values: Lru[tuple[Subject, tuple[str, ...]], Bound] = Lru(_KEPT_OF_VALUES)
        self.connections: set[int] = set()

    def bound(self, plan: EffectivePolicy, caller: Caller, action_id: str) -> Bound:
        """The stack for this caller's calls of this action under ``plan``."""
        tenant = caller.entry.tenant
        # Tenants share plans: all that a subject is made of has to be in the name.
        name = (tenant.connection.id, tenant.tenant_id, action_id, caller.key_prefix, caller.max_class)
        found = self._kept.get(name)
        if found is not None and found.plan is plan:
            return found
        self.connections.add(tenant.connection.id)
        made = _bind(plan, caller, action_id)
        self._kept.put(name, made)
        return made

    def of_values(self, bound: Bound, tenant: TenantSpec, values: tuple[str, ...]) -> Bound:
        """The same for a call with these digests of its values, in the order of ``plan.counted_by``."""
        name = (bound.stack.subject, values)
        found = self._of_values.get(name)
        if found is None or found.plan is not bound.plan:
            found = _bind_values(bound, tenant, values)
            self._of_values.put(name, found)
        return found


def _bind_values(bound: Bound, tenant: TenantSpec, values: tuple[str, ...]) -> Bound:
    subject = bound.stack.subject
    stack = bind(bound.plan, subject, **_of_connection(tenant.connection, bound.plan), values=values)
    ends = bound.stack if stack.slots == bound.stack.slots else stack
    return Bound(bound.plan, stack, PolicyHeader(headers.policy(stack.limits)), ends)


def _bind(plan: EffectivePolicy, caller: Caller, action_id: str) -> Bound:
    tenant = caller.entry.tenant
    per_key = any(limit.counted_per is CountedPer.KEY for limit in plan.limits)
    subject = Subject(
        connection=tenant.connection.id,
        tenant=tenant.tenant_id,
        action=action_id,
        key=caller.key_prefix if per_key else "",
        max_class=ServiceClass(caller.max_class),
    )
    stack = bind(plan, subject, **_of_connection(tenant.connection, plan))
    return Bound(plan, stack, PolicyHeader(_policy(stack.limits)), stack)


@lru_cache(maxsize=1024)
def _policy(limits: tuple[Limit, ...]) -> str:
    """Tenants under the same policies share one text."""
    return headers.policy(limits)


@lru_cache(maxsize=1024)
def _settings(
    threshold_ms: int, min_in_flight: int, max_in_flight: int, deadline_s: float, share: Portion | None
) -> Learned:
    """One object for all stacks of a connection, and of a tenant's terms where it is shared."""
    return in_flight.learned(
        LearningSettings(
            threshold_us=threshold_ms * 1000,
            min_in_flight=min_in_flight,
            max_in_flight=max_in_flight,
            lease_us=int((deadline_s + _LEASE_MARGIN_S) * MICROS),
        ),
        share,
    )


class _OfConnection(TypedDict):
    """What a connection adds to the limits of policies: a learned limit, and the caller's terms in a shared pace."""

    learned: Learned | None
    paced: Portion | None


def _of_connection(connection: ConnectionSpec, plan: EffectivePolicy) -> _OfConnection:
    share = portion(plan.shared, connection.shared_like) if connection.shared else None
    learned = None
    if connection.learns_in_flight:
        within = (connection.min_in_flight, connection.max_in_flight)
        learned = _settings(connection.slow_above_ms, *within, connection.total_deadline_s, share)
    return {"learned": learned, "paced": share if connection.pace else None}
