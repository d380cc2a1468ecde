"""Alive and ready: what a load balancer and an operator ask a worker."""

from __future__ import annotations

import time
from typing import Any

from limiter.core.errors import StoreError
from limiter.gateway import record_state, scraper
from limiter.gateway.answers import Answer, json_answer
from limiter.gateway.request import GatewayRequest
from limiter.gateway.runtime import Runtime
from limiter.gateway.views import GatewayView, runtime_of

POLL_TOO_OLD_S = 10.0


class HealthView(GatewayView):
    """``GET /healthz``: this worker's event loop turns."""

    async def get(self, request: GatewayRequest) -> Answer:
        return json_answer({"status": "alive"}, request)


class ReadyView(GatewayView):
    """``GET /readyz``: this worker can serve calls as its policies say; what it lacks is not for strangers."""

    async def get(self, request: GatewayRequest) -> Answer:
        runtime = runtime_of(request)
        checks = _checks(runtime)
        ready = all(check["ok"] for check in checks.values())
        data: dict[str, Any] = {"status": "ready" if ready else "not ready"}
        if await scraper.may_see_details(request):
            told = {"connections": await _connections(runtime), "record": await _record(runtime)}
            data["checks"] = checks | told
        return json_answer(data, request, status=200 if ready else 503)


async def _connections(runtime: Runtime) -> dict[str, Any]:
    """Upstream accounts that cannot be used. Told only: another worker would fail too."""
    faults = await runtime.faults()
    return {"ok": True, "unhealthy": {name: fault.reason for name, fault in sorted(faults.items())}}


async def _record(runtime: Runtime) -> dict[str, Any]:
    """How far Celery is behind. Told only: calls are decided and kept without it."""
    now = time.time()
    try:
        seen = await record_state.look(runtime.store, now=now)
    except StoreError:
        return {"ok": True, "known": False}
    tasks = {name: {"last_run_s": round(now - run.at, 1), "succeeded": run.ok} for name, run in seen.tasks.items()}
    return {
        "ok": True,
        "known": True,
        "late": seen.late,
        "events_waiting": seen.waiting,
        "lag_s": round(seen.lag_s, 1),
        "tasks": tasks,
    }


def _checks(runtime: Runtime) -> dict[str, dict[str, Any]]:
    gateway = runtime.gateway
    snapshot = gateway.snapshot.status()
    pool = gateway.store.status()
    age = snapshot["looked_seconds_ago"]
    reached = age is not None and age < POLL_TOO_OLD_S
    since = gateway.degraded_since
    return {
        "policies": {"ok": not snapshot["problems"], "seq": snapshot["seq"], "problems": snapshot["problems"]},
        "database": {"ok": reached, "last_read_s": None if age is None else round(age, 1)},
        "store": {
            "ok": pool.available and since is None,
            "connections": pool.open,
            "degraded_for_s": None if since is None else round(time.time() - since, 1),
        },
    }
