"""Explanations of refusals for callers: read from the database in a thread of their own, each once at a time."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from django.db import Error as DatabaseFault

from limiter.gateway.problems import GatewayProblem
from limiter.live.queries import Aside
from limiter.record import by_decision
from limiter.record.explain import explain
from limiter.record.models import ThrottleEvent

_MAX_WAITING = 100
"""Explanations that are looked up or wait for it, of all callers of a worker."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")

Found = dict[str, Any] | None


class Decisions:
    """One per worker and event loop."""

    def __init__(self) -> None:
        self._aside = Aside(1, name="decisions", keep=True)
        self._running: dict[tuple[str, str], asyncio.Task[Found]] = {}

    async def explained(self, tenant_id: str, decision_id: str) -> Found:
        """Why a call of this tenant was refused; None if no refusal is kept under this ID. Raises Problem."""
        if not _ID.fullmatch(decision_id):
            return None
        name = tenant_id, decision_id
        task = self._running.get(name)
        if task is None:
            if len(self._running) >= _MAX_WAITING:
                detail = "Too many decisions are being looked up; try again in a second."
                raise GatewayProblem(503, "directory-unavailable", detail, retry_after_us=1_000_000)
            task = self._running[name] = asyncio.get_running_loop().create_task(self._aside.run(_explained, *name))
            task.add_done_callback(lambda _: self._running.pop(name, None))
        try:
            return await asyncio.shield(task)
        except DatabaseFault as error:
            detail = "The record cannot be read at the moment."
            raise GatewayProblem(503, "directory-unavailable", detail, retry_after_us=1_000_000) from error

    async def close(self) -> None:
        await self._aside.close()


def _explained(tenant_id: str, decision_id: str) -> Found:
    event = by_decision.event_of(decision_id, among=ThrottleEvent.objects.filter(tenant_id=tenant_id))
    if event is None:
        return None
    data = explain(event)
    return {
        "decision_id": decision_id,
        "tenant_id": event.tenant_id,
        "action_id": event.action_id,
        "request_id": event.request_id if event.decision_id == decision_id else None,
        "at": event.at.isoformat(),
        "first_at": (event.first_at or event.at).isoformat(),
        "one_of": event.count,
        "sentence": data.sentence,
        "limit": event.limit_name,
        "used": event.used,
        "effective_limit": event.effective_limit,
        "multiplier": event.multiplier,
        "cost": event.cost,
        "shadow": event.shadow,
        "passes_at": data.passes_at.isoformat() if data.passes_at else None,
        "remedies": list(data.remedies),
    }
