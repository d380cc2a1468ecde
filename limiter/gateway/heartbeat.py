"""The heartbeat of a worker, from which any worker can report for all of them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable
from typing import Any

import redis

from limiter.core import keys, versioned
from limiter.core.peers import EVERY_S, GONE_AFTER_S, Peers
from limiter.core.versioned import Form
from limiter.gateway.gate import Gateway
from limiter.gateway.living import Living
from limiter.stores.errors import StoreError
from quota_platform.base.api import tokens

_KEEP_S = 604_800

log = logging.getLogger(__name__)

_EXAMPLE: dict[str, Any] = {
    "at": 0.0,
    "decides": True,
    "snapshot": {"seq": 0, "applied": [], "problems": {}},
    "store": {"available": False, "connections": 0, "pool_size": 0, "in_flight": 0, "failures": 0},
    "round_trips": {"bounds": [], "counts": [], "total_s": 0.0},
    "degraded_since": None,
    "upstream": {},
    "records": {"waiting": 0, "lost": 0},
    "waiting": {"calls": 0, "tenants": {}},
    "unreadable": {},
    "failed_keys": {"invalid": 0, "refused": 0},
    "failed_tokens": {"invalid": 0, "refused": 0},
    "server": {"connections": 0, "rejections": {}},
}
"""What a reader finds in a heartbeat, whichever release wrote it."""
_UNIT = {
    "name": "",
    "calls": 0,
    "failures": 0,
    "repeats": 0,
    "pushbacks": 0,
    "breaker": "closed",
    "unsolicited": 0,
    "ended_idle": 0,
    "without_keep_alive_until": 0.0,
    "without_keep_alive_why": "",
    "id": 0,
}


def _beat(data: Any) -> dict[str, Any]:
    """A heartbeat with all that readers look for; one without a time is none."""
    beat = versioned.filled(data, _EXAMPLE) | {"at": float(data["at"])}
    beat["upstream"] = {uid: versioned.filled(unit, _UNIT) for uid, unit in beat["upstream"].items()}
    beat["snapshot"]["applied"] = [each for each in beat["snapshot"]["applied"] if _is_applied(each)]
    for counts in (beat["unreadable"], beat["server"]["rejections"], beat["waiting"]["tenants"]):
        for kind in [kind for kind, count in counts.items() if not isinstance(count, int)]:
            del counts[kind]
    trips = beat["round_trips"]
    numbers = [*trips["bounds"], *trips["counts"]]
    if len(trips["counts"]) != len(trips["bounds"]) + 1 or not all(isinstance(each, int | float) for each in numbers):
        beat["round_trips"] = {"bounds": [], "counts": [0], "total_s": 0.0}
    return beat


def _is_applied(value: Any) -> bool:
    """Whether it is the number of an edit and a time."""
    return isinstance(value, list) and len(value) == 2 and all(isinstance(each, int | float) for each in value)


FORM = Form("heartbeat", {1: _beat}, lenient=True)


def read(client: redis.Redis | redis.RedisCluster) -> list[dict[str, Any]]:
    """The heartbeats of the workers heard lately; raises RedisError. Blocks."""
    oldest = time.time() - GONE_AFTER_S
    beats = map(FORM.load_or_none, client.hvals(keys.workers()))
    return [beat for beat in beats if beat is not None and beat["at"] > oldest]


class Heartbeat:
    """Writes this worker's state into the store every second, under a name of its own, and learns who else does."""

    def __init__(self, gateway: Gateway, peers: Peers, *, every_s: float = EVERY_S) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._gateway = gateway
        self._peers = peers
        self._living = Living(gateway.store, read=FORM.load_or_none)
        self._every_s = every_s
        self.server: Callable[[], dict[str, Any]] = dict
        """The server before the gateway: its connections, and the requests it rejected."""
        self.decides: Callable[[], bool] = lambda: True
        """Whether this worker decides calls, and so has a share of the limits while the store is unavailable."""

    def state(self) -> dict[str, Any]:
        """The heartbeat: entries held, the store's response times, the lengths of queues."""
        gateway = self._gateway
        pool = gateway.store.status()
        trips = gateway.store.round_trips
        return {
            "at": time.time(),
            "pid": os.getpid(),
            "decides": self.decides(),
            "snapshot": gateway.snapshot.status(),
            "store": {
                "available": pool.available,
                "connections": pool.open,
                "pool_size": pool.size,
                "in_flight": pool.in_flight,
                "failures": pool.failures,
            },
            "round_trips": {"bounds": trips.bounds, "counts": trips.counts, "total_s": trips.total_s},
            "degraded_since": gateway.degraded_since,
            "upstream": {
                uid: {**dataclasses.asdict(seen), "breaker": str(seen.breaker)}
                for uid, seen in gateway.forwarding.upstream.units().items()
            },
            "records": {"waiting": gateway.recorder.waiting, "lost": gateway.recorder.lost},
            "waiting": {"calls": gateway.waiting.calls, "tenants": gateway.waiting.of_tenants()},
            "alone": {"waiting": gateway.outage.waiting},
            "unreadable": dict(versioned.unreadable),
            "failed_keys": dataclasses.asdict(gateway.callers.failed.counts),
            "failed_tokens": dataclasses.asdict(tokens.presented().failures.counts),
            "server": self.server(),
        }

    async def report(self) -> None:
        """Write the state once; raises :class:`~limiter.stores.errors.StoreError`."""
        store = self._gateway.store
        if self.decides():
            self._peers.heard(await self._living.count(self.name))
        await store.command("HSET", keys.workers(), self.name, FORM.dump(self.state()), key=keys.workers())
        await store.command("EXPIRE", keys.workers(), _KEEP_S, key=keys.workers())
        if seen := self._gateway.connections_seen:
            await store.command("SADD", keys.connections(), *seen, key=keys.connections())
            await store.command("EXPIRE", keys.connections(), _KEEP_S, key=keys.connections())

    async def beat(self, stop: asyncio.Event) -> None:
        """Report until ``stop`` is set, then take the name away. An absent store is tried again at the next beat."""
        while not stop.is_set():
            with contextlib.suppress(StoreError):
                await self.report()
                await self._gateway.outage.hand_in()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._every_s)
        with contextlib.suppress(StoreError):
            await self._gateway.store.command("ZREM", keys.alive(), self.name, key=keys.alive())
            await self._gateway.store.command("HDEL", keys.workers(), self.name, key=keys.workers())
