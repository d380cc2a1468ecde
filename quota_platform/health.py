"""Alive and ready: what a load balancer and an operator ask a worker."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from typing import Any

from limiter.gateway import record_state, scraper
from limiter.gateway.runtime import Runtime
from limiter.gateway.views import runtime_of
from limiter.live.snapshot import DirectoryUnavailable
from limiter.stores import server_settings
from limiter.stores.errors import StoreError
from limiter.stores.server_settings import ServerSettings
from quota_platform.base.lean.request import LeanRequest
from quota_platform.base.lean.response import LeanResponse, json_response
from quota_platform.base.lean.view import LeanView
from quota_platform.server.draining import DRAINING

POLL_TOO_OLD_S = 10.0
PATIENCE_S = 0.5
"""For checks of other systems: a late response counts as none, and takes a worker out."""

Check = dict[str, Any]


class HealthView(LeanView):
    """``GET /healthz``: this worker's event loop turns."""

    async def get(self, request: LeanRequest) -> LeanResponse:
        return json_response({"status": "alive"}, request)


class ReadyView(LeanView):
    """``GET /readyz``: whether this worker is to be sent calls, degraded or not. 503: it starts, or it drains.

    What all workers share, and what a worker does without, takes none of them out: a fault that they have in common
    would take out all. Strangers get no names or numbers, and cause no query.
    """

    async def get(self, request: LeanRequest) -> LeanResponse:
        runtime = runtime_of(request)
        checks = _checks(runtime)
        reasons = [check["reason"] for check in checks.values() if not check["ok"]]
        status = await _status(request, runtime, degraded=bool(reasons))
        data: dict[str, Any] = {"status": status, "reasons": reasons}
        if await scraper.may_see_details(request):
            data["checks"] = checks | await _asked(runtime)
        return json_response(data, request, status=200 if status in ("ready", "degraded") else 503)


async def _status(request: LeanRequest, runtime: Runtime, *, degraded: bool) -> str:
    if DRAINING in request.scope["state"]:
        return "draining"
    snapshot = runtime.gateway.snapshot
    if not snapshot.serves:
        with contextlib.suppress(DirectoryUnavailable, TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await snapshot.warm()
    if not snapshot.serves:
        return "starting"
    return "degraded" if degraded else "ready"


def _checks(runtime: Runtime) -> dict[str, Check]:
    """A check of this worker's own state. ``reason`` is the fault, only if ``ok`` is false, and contains no names."""
    gateway = runtime.gateway
    snapshot = gateway.snapshot.status()
    pool = gateway.store.status()
    age = snapshot["looked_seconds_ago"]
    since = gateway.degraded_since
    return {
        "policies": {
            **_verdict(not snapshot["problems"], fault="policies-unusable"),
            "seq": snapshot["seq"],
            "problems": snapshot["problems"],
        },
        "database": {
            **_verdict(age is not None and age < POLL_TOO_OLD_S, fault="database-unavailable"),
            "last_read_s": None if age is None else round(age, 1),
        },
        "store": {
            **_verdict(pool.available and since is None, fault="store-unavailable"),
            "connections": pool.open,
            "processes": runtime.peers.known,
            "degraded_for_s": None if since is None else round(time.time() - since, 1),
        },
    }


def _verdict(ok: bool, *, fault: str) -> Check:
    return {"ok": True} if ok else {"ok": False, "reason": fault}


async def _asked(runtime: Runtime) -> dict[str, Check]:
    """What others have to be asked. Said only: another worker would fail too."""
    asked = {
        "connections": _connections(runtime),
        "record": _record(runtime),
        "queue": _queue(runtime),
        "store_settings": _store_settings(runtime),
    }
    return dict(zip(asked, await asyncio.gather(*map(_in_time, asked.values())), strict=True))


async def _in_time(asked: Coroutine[Any, Any, Check]) -> Check:
    try:
        async with asyncio.timeout(PATIENCE_S):
            found = {"ok": True, "known": True} | await asked
    except (StoreError, TimeoutError):
        found = {"known": False}
    return found if found["known"] else found | {"ok": None}


async def _connections(runtime: Runtime) -> Check:
    """Upstream accounts that this worker has used and cannot use now."""
    faults = await runtime.faults(runtime.connections_used())
    if faults is None:
        return {"known": False}
    return {"unhealthy": {name: fault.reason for name, fault in sorted(faults.items())}}


async def _record(runtime: Runtime) -> Check:
    """How far Celery is behind: calls are decided and kept without it."""
    now = time.time()
    seen = await record_state.look(runtime.store, now=now)
    tasks = {name: {"last_run_s": round(now - run.at, 1), "succeeded": run.ok} for name, run in seen.tasks.items()}
    return {"late": seen.late, "events_waiting": seen.waiting, "lag_s": round(seen.lag_s, 1), "tasks": tasks}


async def _queue(runtime: Runtime) -> Check:
    """What waits for Celery's workers."""
    seen = await runtime.queue()
    return {"known": False} if seen is None else {"waiting": seen.waiting, "oldest_s": round(seen.oldest_s, 1)}


async def _store_settings(runtime: Runtime) -> Check:
    """How each server that the platform uses is set up, and what may be lost by that."""
    servers = await runtime.servers()
    return {
        "known": bool(servers) and all(server.settings for server in servers),
        "servers": {server.name: _settings_of(server.settings) for server in servers},
        "warnings": server_settings.warnings(servers),
    }


def _settings_of(seen: ServerSettings | None) -> Check | None:
    if seen is None:
        return None
    return {
        "version": seen.version,
        "eviction": seen.eviction,
        "maxmemory": "unknown" if seen.maxmemory is None else seen.maxmemory,
        "persistence": seen.persistence,
    }
