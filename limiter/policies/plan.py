"""The plan of a call: the limits in force after default, tenant and action policies and the overrides of the hour."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from limiter.core import window
from limiter.core.adaptive import AdaptiveSettings
from limiter.core.algorithms import rules_of
from limiter.core.in_flight import CARRIER
from limiter.core.shape import Learned, LimitsThen
from limiter.core.types import MAX_BURST_SECONDS, MAX_QUOTA, MICROS, Limit, Share, Subject
from limiter.core.values import given
from limiter.core.window import Stack
from limiter.outage.modes import LOCAL
from limiter.policies.compiled import PolicySpec


@dataclass(frozen=True, slots=True)
class OverrideSpec:
    """A temporary change. ``action_id`` None: all actions; ``limit_name`` empty: every limit. Times: epoch seconds."""

    id: int
    action_id: str | None
    limit_name: str
    effect: str
    factor: float | None
    quota: int | None
    starts_at: float
    ends_at: float
    reason: str

    def active(self, now: float) -> bool:
        """From its start on and until just before its end."""
        return self.starts_at <= now < self.ends_at

    def concerns(self, action_id: str | None) -> bool:
        """Whether it can change a call of this action; None is an action that is not registered."""
        return self.action_id is None or self.action_id == action_id


@dataclass(frozen=True, slots=True)
class Replaced:
    """A limit that is not in force because a narrower policy has one of the same name."""

    limit: Limit
    by_policy: str


@dataclass(frozen=True, slots=True, eq=False)
class EffectivePolicy:
    """Everything one action's calls are decided by, until ``valid_until`` (epoch seconds, inf when nothing is due).

    Compared and hashed by identity: tenants under the same policies share one plan, and it makes a cheap key.

    ``adaptive``, ``store_failure``, ``reduced_status`` and ``wait_seconds`` come from the most specific policy present;
    each limit carries the name and version of the policy it came from. ``overrides`` are those active now.
    ``limits_then``: as ``limits`` from ``valid_until`` on, when something is due then. ``counted_by``: by what, of
    each limit that counts by a value, in their order. ``shared``: the limits that tenants share, without overrides.
    """

    limits: tuple[Limit, ...] = ()
    cost: int = 1
    adaptive: AdaptiveSettings | None = None
    store_failure: str = LOCAL.name
    reduced_status: int = 429
    wait_seconds: int = 0
    valid_until: float = math.inf
    limits_then: tuple[Limit, ...] = ()
    replaced: tuple[Replaced, ...] = ()
    overrides: tuple[OverrideSpec, ...] = ()
    counted_by: tuple[str, ...] = ()
    shared: tuple[Limit, ...] = ()


def build_plan(
    stack: Sequence[PolicySpec],
    *,
    cost: int = 1,
    action_id: str | None = None,
    overrides: Iterable[OverrideSpec] = (),
    now: float = 0.0,
) -> EffectivePolicy:
    """The plan under these policies, broadest first. Same name replaces, different names add up.

    An empty stack gives a plan without limits: nobody has said how much, so nothing is refused.
    """
    in_force, replaced = _pile(stack)
    mine = [override for override in overrides if override.concerns(action_id)]
    valid_until = min((at for o in mine for at in (o.starts_at, o.ends_at) if at > now), default=math.inf)
    active, active_then = _active(mine, now), _active(mine, valid_until)
    top = stack[-1] if stack else None
    return EffectivePolicy(
        limits=tuple(_overridden(limit, active) for limit in in_force),
        cost=cost,
        adaptive=top.adaptive if top else None,
        store_failure=top.store_failure if top else LOCAL.name,
        reduced_status=top.reduced_status if top else 429,
        wait_seconds=top.wait_seconds if top else 0,
        valid_until=valid_until,
        limits_then=tuple(_overridden(limit, active_then) for limit in in_force) if valid_until < math.inf else (),
        replaced=replaced,
        overrides=active,
        counted_by=tuple(limit.counted_by for limit in in_force if limit.counted_by),
        shared=tuple(limit for limit in in_force if limit.share),
    )


def bind(
    plan: EffectivePolicy,
    subject: Subject,
    *,
    learned: Learned | None = None,
    paced: Share | None = None,
    values: Sequence[str] = (),
) -> Stack:
    """The plan's limits, bound to who calls what; ``learned``: the one that the connection adds to them.

    ``paced``: the subject's terms in the connection's pace, where tenants share it.
    ``values``: the digests by which ``plan.counted_by`` count. Without them the stack is that of no call, and has none
    of these limits.
    """
    limits = applied(plan.limits, learns=learned is not None)
    then = applied(plan.limits_then, learns=learned is not None)
    if plan.counted_by:
        limits, then = given(limits, values), given(then, values)
    return window.bind(
        limits,
        subject=subject,
        default_ppm=plan.adaptive.default_ppm if plan.adaptive else None,
        adapts_per=subject.action if plan.adaptive and plan.adaptive.per_action else None,
        change=LimitsThen(math.ceil(plan.valid_until * MICROS), then) if then else None,
        learned=learned,
        paced=paced,
    )


def applied(limits: tuple[Limit, ...], *, learns: bool) -> tuple[Limit, ...]:
    """Those of a plan's limits that count on a connection, which ``learns`` how many calls it bears in flight or not.

    Where it does, that limit takes the place of one that carries a policy's cut. Both would follow the same latency,
    and only the learned one finds out whether fewer calls in flight help at all.
    """
    return tuple(limit for limit in limits if limit.name != CARRIER) if learns else limits


def _pile(stack: Sequence[PolicySpec]) -> tuple[list[Limit], tuple[Replaced, ...]]:
    in_force: dict[str, Limit] = {}
    replaced = []
    for policy in stack:
        for limit in policy.limits:
            if limit.name in in_force:
                replaced.append(Replaced(limit=in_force[limit.name], by_policy=policy.name))
            in_force[limit.name] = limit
    return list(in_force.values()), tuple(replaced)


def _active(overrides: Iterable[OverrideSpec], at: float) -> tuple[OverrideSpec, ...]:
    return tuple(sorted((o for o in overrides if o.active(at)), key=_narrowest_and_latest_last))


def _narrowest_and_latest_last(override: OverrideSpec) -> tuple[bool, float, int]:
    return override.action_id is not None, override.starts_at, override.id


def _overridden(limit: Limit, active: Sequence[OverrideSpec]) -> Limit:
    """Values first (an action's over its tenant's, a later over an earlier one), then every factor on top of them.

    A set value leaves a token bucket's burst alone, a factor changes both. What comes out is kept within what the
    algorithm can hold, so that an override never makes a limit that could not have been saved.
    """
    mine = [o for o in active if o.limit_name in ("", limit.name)]
    if not mine:
        return limit
    quota = limit.quota
    factor = Decimal(1)
    for override in mine:
        if override.effect == "quota" and override.quota is not None:
            quota = override.quota
        elif override.effect == "factor" and override.factor is not None:
            # By way of its digits: 100 x 0.29 is 29, and not the 28.999… of binary fractions.
            factor *= Decimal(str(override.factor))
    return dataclasses.replace(
        limit,
        quota=_within(quota * factor, most=rules_of(limit.algorithm).max_quota),
        burst=_within(limit.burst * factor, most=_most_burst(limit)) if limit.burst else 0,
        shadow=limit.shadow or any(o.effect == "shadow" for o in mine),
    )


def _most_burst(limit: Limit) -> int:
    return min(MAX_QUOTA, MAX_BURST_SECONDS * MICROS // limit.window_us)


def _within(units: Decimal, *, most: int) -> int:
    return min(most, max(1, int(units)))
