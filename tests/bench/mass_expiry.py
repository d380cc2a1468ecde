"""A million log entries that leave the window at once: what the one decision that finds them gone costs the store."""

from __future__ import annotations

from typing import Any

import redis
import uvloop

from limiter.core.types import MAX_COST, MAX_LOG_QUOTA, Limit, Subject
from limiter.core.window import Call, Stack, bind
from tests.bench import peers
from tests.bench.effort import Effort
from tests.bench.findings import Findings, Reach, Table
from tests.bench.stage import Stage

WINDOW_US = 3_600_000_000
START_US = 1_800_000_000_000_000
_TIMES = 5


def measure(stage: Stage, effort: Effort) -> Findings:
    took_ms = uvloop.run(_took_ms(stage.rig.redis_url))
    how = (
        f"A sliding log with {MAX_LOG_QUOTA:,} entries, all too old: the time of the next decision by the store's"
        f" own clock, {_TIMES} times. Drop and decision are one script."
    )
    rows = [["median", f"{sorted(took_ms)[_TIMES // 2]:.2f} ms"], ["worst", f"{max(took_ms):.2f} ms"]]
    return Findings(
        tables=[Table(f"{MAX_LOG_QUOTA:,} entries that expire at once", how, ("", "time in the store"), rows)],
        reaches=[Reach(f"decision that drops {MAX_LOG_QUOTA:,} entries, worst", max(took_ms), 2.0, "ms", most=True)],
    )


async def _took_ms(url: str) -> list[float]:
    ours = await peers.Ours.open(url)
    limit = Limit("hour", "sliding_log", MAX_LOG_QUOTA, window_us=WINDOW_US)
    took = []
    for _ in range(_TIMES):
        stack = bind((limit,), subject=Subject(3, "expiry", peers.fresh(), "key"))
        for number in range(MAX_LOG_QUOTA // MAX_COST):
            await ours.store.decide(stack, Call(f"d{number}", cost=MAX_COST, now_us=START_US + number))
        took.append(await _one(ours, stack, url))
    await ours.store.close()
    return took


async def _one(ours: peers.Ours, stack: Stack, url: str) -> float:
    """Milliseconds of the decision after the window has passed; it has to see an empty window."""
    with redis.Redis.from_url(url) as store:
        store.config_resetstat()
        decision = await ours.store.decide(stack, Call("last", now_us=START_US + 2 * WINDOW_US))
        stats: dict[str, Any] = store.info("commandstats")
        store.delete(*stack.keys)
    if decision.states[0].used != 1:
        raise RuntimeError(f"{decision.states[0].used} entries are left of those that should have expired")
    return float(stats["cmdstat_evalsha"]["usec"]) / 1000
