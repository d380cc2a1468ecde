"""One process of a crowd: given the name of a stack, it makes all its calls at once and says how many were admitted.

Run as ``python -m tests.limiter.core.stampede <store's URL> <name of the process> <calls>``; reads names of stacks from
its input, one a line, and answers each with ``<admitted> <refused>``.
"""

from __future__ import annotations

import asyncio
import sys

from limiter.core.store import Store
from limiter.core.types import Limit
from limiter.core.window import Call
from tests.limiter.core.given import S, bucket, counter, log, slots, stack, store_at

HOUR = 3600 * S
CROWDS: dict[str, tuple[tuple[Limit, ...], int]] = {
    "log": ((log(100, window_us=HOUR),), 1),
    "counter": ((counter(100, window_us=HOUR),), 1),
    "bucket": ((bucket(1, burst=100, window_us=HOUR),), 1),
    "slots": ((slots(100, lease_us=HOUR),), 1),
    "stacked": (
        (
            log(100, window_us=HOUR),
            counter(130, window_us=HOUR),
            bucket(1, burst=120, window_us=HOUR),
            slots(110, lease_us=HOUR),
        ),
        1,
    ),
    "costly": ((log(1000, window_us=HOUR), counter(301, window_us=HOUR), bucket(1, burst=999, window_us=HOUR)), 3),
}
"""Stacks by name, and the cost of each call. Windows are an hour, so nothing expires meanwhile."""


async def rush(store: Store, crowd: str, *, process: str, calls: int) -> tuple[int, int]:
    """Make all calls at once; how many were admitted and refused."""
    limits, cost = CROWDS[crowd]
    bound = stack(*limits)
    decisions = await asyncio.gather(
        *(store.decide(bound, Call(f"{crowd}-{process}-{number}", cost=cost)) for number in range(calls))
    )
    admitted = sum(decision.allowed for decision in decisions)
    return admitted, calls - admitted


async def main(url: str, process: str, calls: int) -> None:
    store = store_at(url)
    await store.open()
    loop = asyncio.get_running_loop()
    print("ready", flush=True)
    while crowd := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        print(*await rush(store, crowd, process=process, calls=calls), flush=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
