"""The steps of the tests of alerts: calls, reported by their worker, and the evaluator's turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone

from limiter import clients
from limiter.alerts import watch
from limiter.alerts.watched import Row, Watched
from limiter.core import keys
from limiter.core.types import Subject
from limiter.core.window import Call
from limiter.demand.recorder import DemandRecorder
from limiter.models import Alert
from limiter.policies.in_force import in_force
from limiter.policies.plan import bind
from tenants.models import Tenant
from tests.limiter.core.given import store_at
from tests.limiter.demand.given import a_stack, decided


def use(url: str, tenant: Tenant, units: int, *, action: str = "lookupOrder") -> None:
    """Let so many units be charged by one call of an action, as the gateway would, and be reported as near."""
    plans = {each.action_id: each.plan for each in in_force(tenant)}
    plan = plans.get(action, plans[None])
    stack = bind(plan, Subject(tenant.connection_id, tenant.tenant_id, action, key=""))

    async def call() -> None:
        store = store_at(url)
        await store.open()
        for number in range(units):
            assert (await store.decide(stack, Call(f"{action}{number}"))).allowed
        await store.close()

    asyncio.run(call())
    called(tenant, action)


def called(tenant: Tenant, *actions: str) -> None:
    """As a worker reports calls that found a limit at its threshold."""
    client, now = clients.client(), timezone.now().timestamp()
    members = [f"{tenant.tenant_id}|{action}" for action in actions or ("lookupOrder",)]
    client.zadd(keys.near(tenant.connection_id), dict.fromkeys(members, now))
    client.close()


def refused(url: str, tenant: Tenant, *, seconds_ago: int) -> None:
    """One call that the limit of each minute refused, as its worker recorded it."""
    _recorded(url, tenant, seconds_ago=seconds_ago, allowed=False)


def burst(url: str, tenant: Tenant, used: int, *, seconds_ago: int) -> None:
    """One call that found so many of 100 units in use, which nobody uses any more; as its worker recorded it."""
    _recorded(url, tenant, seconds_ago=seconds_ago, used=used)


def _recorded(url: str, tenant: Tenant, *, seconds_ago: int, allowed: bool = True, used: int = 1) -> None:
    stack = a_stack(connection=tenant.connection_id, alert_at=(80,))

    async def note() -> None:
        store = store_at(url)
        recorder = DemandRecorder(store)
        second = int(time.time()) - seconds_ago
        recorder.note(stack, "", decided(stack, allowed=allowed, used=used, second=second))
        await recorder.send()
        await store.close()

    asyncio.run(note())


def seen() -> Mapping[Row, Watched]:
    """How the limits stand that the evaluator would look at, if no alert is open."""
    client = clients.client()
    try:
        return watch.seen_now(client, [], now=timezone.now())
    finally:
        client.close()


def look(*, now: datetime | None = None) -> int:
    """The evaluator's turn."""
    client = clients.client()
    try:
        return watch.look(client, now=now)
    finally:
        client.close()


def forget(url: str, tenant: Tenant, *, leaving: int, limit: str = "minute", action: str = "lookupOrder") -> None:
    """Let all but some of the oldest units of a log have left its window."""
    import redis

    with redis.Redis.from_url(url) as client:
        client.ltrim(f"{keys.tag(tenant.connection_id)}:w:{limit}:l:a:{tenant.tenant_id}:{action}", 0, leaving - 1)
        if not leaving:
            client.delete(f"{keys.tag(tenant.connection_id)}:w:{limit}:l:a:{tenant.tenant_id}:{action}")


def data(*, now: datetime | None = None) -> list[tuple[str, str, str, int]]:
    """The alerts that last after the evaluator's turn."""
    look(now=now)
    found = Alert.objects.filter(ended_at=None).order_by("tenant_id", "action_id", "limit_name", "threshold")
    return list(found.values_list("tenant_id", "action_id", "limit_name", "threshold"))


def alert(**fields: Any) -> Alert:
    """A stored alert of Acme's look-ups at four fifths of their minute."""
    base: dict[str, Any] = {
        "at": timezone.now(),
        "tenant_id": "acme",
        "action_id": "lookupOrder",
        "limit_name": "minute",
        "policy_name": "Base",
        "policy_version": 1,
        "threshold": 80,
        "used": 81,
        "effective_limit": 100,
    }
    return Alert.objects.create(**{**base, **fields})
