"""Shared limits and a learned pace as a release leaves them in the store, and how its own code went on with them.

``pools.json`` has what each release wrote with its own code. For one that was made before this file: put it and
``in_store.py`` into a folder with that release's code and tests, and run there ``python -m tests.releases.pools <URL of
an empty store>``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from typing import Any

from limiter.core import keys, pacing
from limiter.core.algorithms import rules_of
from limiter.core.store import Store
from limiter.core.types import CountedPer, Share, Subject
from limiter.core.window import Call, Stack, bind
from tests.limiter.core.given import T0, S, bucket, counter, log, store_at
from tests.releases import in_store

QUOTA, FLOOR = 60, 20
LONG_US = 3_000_000 * S
"""So long that no key ends while a sample is looked at, by whatever clock."""
LIMITS = {
    "log": log(QUOTA, window_us=LONG_US, name="log"),
    "counter": counter(QUOTA, window_us=LONG_US, name="counter"),
    "bucket": bucket(QUOTA, burst=QUOTA, window_us=LONG_US, name="bucket"),
}
RAN, HELD, LEARNED_S = 5, 8, 60
"""Calls of a second that the upstream took, and of those that were held; for so long."""


def stacks(name: str) -> dict[str, Stack]:
    """The limit as each tenant has it: one has a floor."""
    limit = LIMITS[name]
    over_us = rules_of(limit.algorithm).shared_over_us(limit)
    terms = {"greedy": Share(over_us=over_us), "meek": Share(floor=FLOOR, over_us=over_us)}
    return {
        tenant: bind(
            [replace(limit, counted_per=CountedPer.CONNECTION, share=share)],
            subject=Subject(1, tenant, "lookupOrder", "k1"),
        )
        for tenant, share in terms.items()
    }


async def passed(store: Store, stack: Stack, *, calls: int, at_us: int) -> int:
    """How many of these pass; a microsecond lies between two."""
    decided = [
        await store.decide(stack, Call(f"d{at_us + number}", now_us=T0 + at_us + number)) for number in range(calls)
    ]
    return sum(each.allowed for each in decided)


async def begin(store: Store, name: str) -> None:
    """A tenant with a floor calls once, and another one takes all that it gets."""
    of = stacks(name)
    await passed(store, of["meek"], calls=1, at_us=0)
    await passed(store, of["greedy"], calls=QUOTA, at_us=S)


async def go_on(store: Store, name: str) -> dict[str, int]:
    """How many calls of each pass in the same slice, and when units are divided anew."""
    of, later_us = stacks(name), LONG_US // 25
    return {
        "greedy": await passed(store, of["greedy"], calls=5, at_us=2 * S),
        "meek": await passed(store, of["meek"], calls=FLOOR // 2, at_us=3 * S),
        "greedy later": await passed(store, of["greedy"], calls=5, at_us=later_us),
        "meek later": await passed(store, of["meek"], calls=QUOTA, at_us=later_us + S),
    }


async def learn(store: Store) -> float | None:
    """A pace before an upstream that turns a call away now and then."""
    found = None
    for second in range(LEARNED_S):
        pushed = int(second % 10 == 9)
        reported = await pacing.learn(store, 1, ran=RAN, held=HELD, pushed_back=pushed, now_us=T0 + second * S)
        found = reported.per_minute
    return found


async def write(url: str) -> dict[str, Any]:
    store, found = store_at(url), dict[str, Any]()
    await store.open()
    for name in LIMITS:
        await begin(store, name)
        found[name] = {"store": in_store.stored(url, in_store.matching(url, f"*:w:{name}:*"))}
        found[name]["then"] = await go_on(store, name)
    per_minute = await learn(store)
    found["pace"] = {"store": in_store.stored(url, in_store.matching(url, f"{keys.pace(1)}*")), "then": per_minute}
    await store.close()
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(write(sys.argv[1])), separators=(",", ":")))
