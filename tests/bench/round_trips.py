"""The gateway's round trips to the store for one call, counted by the store itself."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any, cast

import redis

from tests.bench.contenders.contender import ALLOWED, REFUSED
from tests.bench.effort import Effort
from tests.bench.findings import Findings, Reach, Table
from tests.bench.load import Target, run
from tests.bench.stage import Stage

FLOODS = "q:{c*}:floods"
HELD = 64


def measure(stage: Stage, effort: Effort) -> Findings:
    targets = stage.contenders["gateway"].targets
    calls = effort.counted_calls
    with redis.Redis.from_url(stage.rig.redis_url) as store:
        before, after = _around_the_response(store, targets["1 s"])
        run(targets[REFUSED], connections=1, seconds=5, most=1)  # fills the window, should nobody have done so
        _settled(store)
        events = _events(store)
        refused = _sent(store, targets[REFUSED], effort)
        recorded = (_events(store) - events) / calls
        allowed = _sent(store, targets[ALLOWED], effort)
    goal = "round trips to the store before the response"
    rows = [
        ["allowed: scripts before the response", f"{before:.3f}"],
        ["allowed: scripts after the response, which record how the call ended", f"{after:.3f}"],
        ["allowed: reads from a connection, a few for all commands of a loop tick", f"{allowed.reads / calls:.3f}"],
        ["refused: scripts", f"{refused.scripts / calls:.3f}"],
        ["refused: reads from a connection", f"{refused.reads / calls:.3f}"],
        ["refused: events recorded", f"{recorded:.3f}"],
    ]
    how = (
        f"Counted by the store. Before the response: {HELD} calls, while they wait for an upstream of 1 s."
        f" The rest: {calls:,} calls of each kind over {effort.connections} connections."
    )
    return Findings(
        tables=[Table("Round trips to the store", how, ("", "per call"), rows)],
        reaches=[
            Reach(f"{goal}, allowed", round(before, 2), 1, "", most=True),
            Reach(
                f"{goal}, refused",
                round(refused.scripts / calls, 2),
                1,
                "",
                most=True,
            ),
            Reach("events recorded per refused call", recorded, 1, ""),
        ],
    )


@dataclass(frozen=True, slots=True)
class Work:
    """What the store did for its clients: scripts run for them, reads from their connections."""

    scripts: int
    reads: int


def _around_the_response(store: redis.Redis, target: Target) -> tuple[float, float]:
    """Scripts per allowed call before its response and after it."""
    start = _settled(store).scripts
    calling = threading.Thread(target=run, args=(target,), kwargs={"connections": HELD, "seconds": 5, "most": HELD})
    calling.start()
    time.sleep(0.6)  # the upstream responds after 1 s
    held = _so_far(store).scripts
    calling.join()
    return (held - start) / HELD, (_settled(store).scripts - held) / HELD


def _sent(store: redis.Redis, target: Target, effort: Effort) -> Work:
    before = _so_far(store)
    run(target, connections=effort.connections, seconds=60, most=effort.counted_calls)
    after = _settled(store)
    return Work(scripts=after.scripts - before.scripts, reads=after.reads - before.reads)


def _so_far(store: redis.Redis) -> Work:
    """Since the store started. Two of the reads are for asking this."""
    scripts = _info(store, "commandstats").get("cmdstat_evalsha", {}).get("calls", 0)
    return Work(scripts=int(scripts), reads=int(_info(store, "stats")["total_reads_processed"]))


def _settled(store: redis.Redis) -> Work:
    """Once nothing more comes: the record of a call may be a moment late."""
    last = _so_far(store)
    for _ in range(100):
        time.sleep(0.05)
        now = _so_far(store)
        if now.scripts == last.scripts:
            break
        last = now
    return last


def _info(store: redis.Redis, section: str) -> dict[str, Any]:
    return store.info(section)


def _events(store: redis.Redis) -> int:
    """Refusals that are recorded, those included that share an entry."""
    hashes = [cast(dict[bytes, bytes], store.hgetall(key)) for key in store.scan_iter(FLOODS)]
    return sum(int(count) for kinds in hashes for kind, count in kinds.items() if not kind.endswith(b"|last"))
