"""A tenant's limits that count by a value of the call: how many values are in use, and the fullest of the newest."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
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
from limiter.stores.errors import StoreError

MAX_LIMITS = 10
NEWEST = 50
"""Values that are looked at, those whose counts end last: of all there may be a hundred thousand."""
TOP = 5
KEYS = 5
"""API keys that a limit per key is shown of: those that called most in the last quarter of an hour."""


class Place(NamedTuple):
    """Where a limit counts. ``action_id``: one whose calls it counts. ``key``: its prefix, of a limit per key."""

    plan: EffectivePolicy
    limit: Limit
    action_id: str
    key: str = ""

    @property
    def action(self) -> str:
        """ "" where it counts all actions together."""
        return self.action_id if self.limit.counted_per is CountedPer.ACTION else ""


class Counted(NamedTuple):
    """One limit. ``in_use``: values with a count of their own; ``others``: the count of all values beyond the most."""

    place: Place
    in_use: int
    values: list[LimitState]
    others: LimitState


async def read(store: Store, reading: TenantReading) -> list[Counted]:
    """Those of a tenant that was read; raises StoreError. Writes nothing."""
    wanted = list(_places(reading))[:MAX_LIMITS]
    return list(await asyncio.gather(*(_read(store, reading, each) for each in wanted)))


def _places(reading: TenantReading) -> Iterator[Place]:
    """Once for each action, or for all of them where it counts these together; of a limit per key for each key."""
    seen, busiest = set(), _busiest_keys(reading)
    for action_id, plan in reading.plans.items():
        for limit in (each for each in plan.limits if each.counted_by):
            for key in busiest if limit.counted_per is CountedPer.KEY else [""]:
                place = Place(plan, limit, action_id, key)
                if (place.action, limit, key) not in seen:
                    seen.add((place.action, limit, key))
                    yield place


def _busiest_keys(reading: TenantReading) -> list[str]:
    """By the calls that they made lately; none while these are not known."""
    made: Counter[str] = Counter()
    if reading.recent is not None:
        for (_, key), _, calls in reading.recent.demand.each_calls():
            made[key] += calls.came
    return [key for key, _ in made.most_common(KEYS)]


async def _read(store: Store, reading: TenantReading, place: Place) -> Counted:
    plan, limit, action_id, key = place
    subject = Subject(reading.connection_id, reading.tenant_id, action_id, key)
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
    return Counted(place, in_use, [each for each in states if each.used], others)


async def lines(store: Store, reading: TenantReading) -> list[Frame]:
    """As the tenant's page shows them; none while the store is unavailable, which the page says anyway."""
    try:
        return [_line(each) for each in await read(store, reading)]
    except StoreError:
        return []


def _line(of: Counted) -> Frame:
    limit = of.place.limit
    fullest = sorted(of.values, key=lambda state: (-state.used / state.effective, state.limit.value))[:TOP]
    return {
        "limit": limit.name,
        "action": of.place.action,
        "key": of.place.key,
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
