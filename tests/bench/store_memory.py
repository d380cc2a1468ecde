"""What an admitted and a refused call weigh in the store."""

from __future__ import annotations

import asyncio
import uuid

import redis
import uvloop

from limiter.core import keys
from limiter.core.types import Limit, Subject
from limiter.core.window import Call, bind
from tests.bench import peers
from tests.bench.effort import Effort
from tests.bench.findings import Findings, Reach, Table
from tests.bench.stage import Stage

_REFUSALS = 1_000


def measure(stage: Stage, effort: Effort) -> Findings:
    entries = effort.log_entries
    limit = Limit("minute", "sliding_log", entries, window_us=3_600_000_000)
    subject = Subject(2, "memory", peers.fresh(), "key")
    window = keys.window(limit, subject)
    events, floods = keys.events(subject.connection), keys.floods(subject.connection)
    with redis.Redis.from_url(stage.rig.redis_url) as store:
        uvloop.run(_decide(stage.rig.redis_url, limit, subject, entries))
        full = _bytes(store, window)
        uvloop.run(_decide(stage.rig.redis_url, limit, subject, _REFUSALS))
        refused = (_bytes(store, window) - full) / _REFUSALS
        own = _bytes(store, events) / max(1, store.xlen(events))
        shared = _bytes(store, floods) / _REFUSALS
        scored = _sorted_set(store, entries) / entries
    rows = [
        ["admitted call, sliding log", f"{full / entries:.1f}"],
        ["refused call, in the window", f"{refused:.1f}"],
        ["refused call, its event until it is stored", f"{own:.0f}"],
        ["refused call, of a flood beyond the tenth of its kind and second", f"{shared:.1f}"],
        ["for comparison: admitted call in a sorted set of UUIDs", f"{scored:.1f}"],
    ]
    how = f"MEMORY USAGE of the whole key with {entries:,} entries, divided by them; then {_REFUSALS:,} refused calls."
    return Findings(
        tables=[Table("Memory in the store", how, ("", "bytes"), rows)],
        reaches=[
            Reach(f"store memory per admitted call at {entries:,}", full / entries, 16.0, "bytes", most=True),
            Reach("store memory per refused call, in windows", refused, 0.0, "bytes", most=True),
        ],
    )


async def _decide(url: str, limit: Limit, subject: Subject, calls: int) -> None:
    ours = await peers.Ours.open(url)
    stack = bind((limit,), subject=subject)
    for start in range(0, calls, 1000):
        batch = (Call(f"d{n}", context="key|request") for n in range(start, min(start + 1000, calls)))
        await asyncio.gather(*(ours.store.decide(stack, call) for call in batch))
    await ours.store.close()


def _sorted_set(store: redis.Redis, entries: int) -> int:
    key = peers.fresh()
    for start in range(0, entries, 1000):
        store.zadd(key, {uuid.uuid4().hex: 1.7e9 + n / 1000 for n in range(start, min(start + 1000, entries))})
    return _bytes(store, key)


def _bytes(store: redis.Redis, key: str) -> int:
    return int(store.memory_usage(key, samples=0) or 0)
