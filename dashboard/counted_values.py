"""A tenant's limits that count by a value of the call: how many values are in use, and the fullest of the newest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from dashboard.deltas import Frame
from dashboard.readings import TenantReading
from limiter.core import keys
from limiter.core.store import Store
from limiter.core.thresholds import near_at, reached
from limiter.core.types import MICROS, CountedPer, Limit, LimitState, Subject
from limiter.core.values import OTHERS, SHOWN
from limiter.core.window import Call, bind
from limiter.policies.plan import EffectivePolicy
from limiter.policies.values_in_use import valued
from limiter.stores.errors import StoreError

MAX_LIMITS = 10
NEWEST = 50
"""Values that are looked at, those whose counts end last: of all there may be a hundred thousand."""
TOP = 5


class Counted(NamedTuple):
    """One limit. ``in_use``: values with a count of their own; ``others``: the count of all values beyond the most."""

    limit: Limit
    action_id: str
    in_use: int
    values: list[LimitState]
    others: LimitState


async def read(store: Store, reading: TenantReading) -> list[Counted]:
    """Those of a tenant that was read; raises StoreError. Writes nothing."""
    wanted = list(_limits(reading))[:MAX_LIMITS]
    return list(await asyncio.gather(*(_read(store, reading, *each) for each in wanted)))


def _limits(reading: TenantReading) -> Iterator[tuple[str, EffectivePolicy, Limit]]:
    """Once for each action, or for all of them where it counts these together."""
    seen = set()
    for action_id, plan in reading.plans.items():
        for limit in valued(plan.limits):
            of = action_id if limit.counted_per is CountedPer.ACTION else ""
            if (of, limit) not in seen:
                seen.add((of, limit))
                yield action_id, plan, limit


async def _read(store: Store, reading: TenantReading, action_id: str, plan: EffectivePolicy, limit: Limit) -> Counted:
    subject = Subject(reading.connection_id, reading.tenant_id, action_id, "")
    name = keys.values(limit, subject)
    in_use = await store.command("ZCOUNT", name, int(time.time() * MICROS), "+inf", key=name)
    newest = await store.command("ZREVRANGE", name, 0, NEWEST - 1, key=name)

    async def look(value: str) -> LimitState:
        stack = bind(
            [replace(limit, value=value)],
            subject=subject,
            default_ppm=plan.adaptive.default_ppm if plan.adaptive else None,
            adapts_per=action_id if plan.adaptive and plan.adaptive.per_action else None,
        )
        return (await store.decide(stack, Call("", charge=False))).states[0]

    others, *states = await asyncio.gather(look(OTHERS), *(look(each.decode()) for each in newest))
    of = action_id if limit.counted_per is CountedPer.ACTION else ""
    return Counted(limit, of, in_use, [each for each in states if each.used], others)


async def lines(store: Store, reading: TenantReading) -> list[Frame]:
    """As the tenant's page shows them; none while the store is unavailable, which the page says anyway."""
    try:
        return [_line(each) for each in await read(store, reading)]
    except StoreError:
        return []


def _line(of: Counted) -> Frame:
    limit = of.limit
    fullest = sorted(of.values, key=lambda state: (-state.used / state.effective, state.limit.value))[:TOP]
    return {
        "limit": limit.name,
        "action": of.action_id,
        "counted_by": limit.counted_by,
        "in_use": of.in_use,
        "max_values": limit.max_values,
        "others": of.others.used,
        "state": _state(limit, of.in_use, limit.max_values),
        "top": [
            {
                "value": state.limit.value[:SHOWN],
                "used": state.used,
                "effective": state.effective,
                "state": _state(limit, state.used, state.effective),
            }
            for state in fullest
        ],
    }


def _state(limit: Limit, used: int, most: int) -> str:
    if used >= most:
        return "stop"
    return "near" if reached(near_at(limit.alert_at), used=used, effective=most) else "ok"
