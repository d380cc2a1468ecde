"""The rows of a platform with many tenants, made in a process of their own: prints keys and sessions as JSON.

Two actions and a key for each tenant; a tenth have a policy of their own, a fiftieth an override. Of the active ones
the record has the last quarter of an hour: demand, usage, and of each fifth refusals, an incident and an alert.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db.models import Model
from django.utils import timezone

from limiter.core.types import CountedPer
from limiter.demand import packed
from limiter.demand.points import Calls, Demand, Level
from limiter.models import (
    Alert,
    Assignment,
    DemandBlock,
    Incident,
    Override,
    QuotaLimit,
    QuotaPolicy,
    ThrottleEvent,
    UsageMinute,
)
from tenants import credentials
from tenants.models import Action, ApiKey, Connection, Tenant
from tests.bench.contenders import people

ACTIONS = ("instant", "lookupOrder")
CONNECTIONS, POLICIES, PEOPLE = 20, 50, 10
MINUTES = 15
STRICT_EVERY = 20
"""Of the active tenants every so many-th is under a limit that refuses it."""
_WORDS = ("Acme", "Globex", "Hooli", "Initech", "Umbra", "Vandelay", "Wayfair", "Zenith")
_DAY = {"name": "day", "algorithm": "sliding_counter", "quota": 10**6, "window_seconds": 86_400}


def active_of(tenants: int) -> int:
    """How many of so many tenants make calls."""
    return max(64, min(3_000, tenants // 20))


def main(upstream_port: int, tenants: int) -> None:
    call_command("migrate", verbosity=0)
    active = active_of(tenants)
    connections = [_connection(number, upstream_port) for number in range(CONNECTIONS)]
    rows = _all(Tenant, (_tenant(number, connections) for number in range(tenants)))
    actions = _all(Action, (Action(tenant=row, action_id=name) for row in rows for name in ACTIONS))
    made = [credentials.make() for _ in range(active)]
    _all(ApiKey, (_key(number, row, made) for number, row in enumerate(rows)))
    _policies(rows, active)
    _all(Override, _overrides(rows, actions))
    _record(rows[:active], made)
    people.main(PEOPLE)
    User.objects.update(is_staff=True)  # for the admin
    print(json.dumps([each.token for each in made]))


def _all(model: type[Model], rows: Iterable[Any]) -> list[Any]:
    """Insert them past every hook."""
    return model._base_manager.bulk_create(rows, batch_size=2_000)


def _connection(number: int, upstream_port: int) -> Connection:
    url = f"http://127.0.0.1:{upstream_port}"
    connection = Connection(name=f"unit {number:02}", is_sandbox=True, base_url=url, client_id="bench")
    connection.set_client_secret("bench")
    connection.save()
    return connection


def _tenant(number: int, connections: Sequence[Connection]) -> Tenant:
    name = f"{_WORDS[number % len(_WORDS)]} {number}"
    status = Tenant.Status.SUSPENDED if number % 97 == 96 else Tenant.Status.ACTIVE
    connection = connections[number % len(connections)]
    return Tenant(tenant_id=f"tenant-{number:06}", name=name, connection=connection, status=status)


def _key(number: int, tenant: Tenant, made: Sequence[credentials.NewKey]) -> ApiKey:
    if number < len(made):
        return ApiKey(tenant=tenant, name="in use", prefix=made[number].prefix, digest=made[number].digest)
    return ApiKey(tenant=tenant, name="IVR", prefix=f"k{number:011}", digest=f"{number:064}")


def _policy(name: str, quota: int) -> QuotaPolicy:
    policy = QuotaPolicy.objects.create(name=name)
    limits = ({"name": "minute", "quota": quota, "window_seconds": 60}, _DAY | {"counted_per": CountedPer.TENANT})
    for fields in limits:
        QuotaLimit.objects.create(policy=policy, **fields)
    return policy


def _policies(tenants: Sequence[Tenant], active: int) -> None:
    every, strict = _policy("Everybody", 10**6), _policy("Strict", 1)
    others = [_policy(f"Plan {number:02}", 10**5 + number) for number in range(POLICIES)]
    Assignment.objects.create(policy=every, target=Assignment.Target.DEFAULT)
    of_tenant = Assignment.Target.TENANT
    refused = tenants[:active:STRICT_EVERY]
    _all(Assignment, (Assignment(policy=strict, target=of_tenant, tenant=each) for each in refused))
    rest = tenants[active::10]
    _all(
        Assignment,
        (
            Assignment(policy=others[number % POLICIES], target=of_tenant, tenant=each)
            for number, each in enumerate(rest)
        ),
    )


def _overrides(tenants: Sequence[Tenant], actions: Sequence[Action]) -> Iterator[Override]:
    now = timezone.now()
    for number in range(0, len(tenants), 50):
        start = now + timedelta(hours=random.Random(number).randint(-500, 20))
        yield Override(
            tenant=tenants[number],
            effect="factor",
            factor=2,
            starts_at=start,
            ends_at=start + timedelta(hours=40),
            reason="campaign",
        )


def _record(active: Sequence[Tenant], made: Sequence[credentials.NewKey]) -> None:
    now = timezone.now().replace(second=0, microsecond=0)
    minutes = [now - timedelta(minutes=back) for back in range(1, MINUTES + 1)]
    _all(
        DemandBlock,
        (_block(row, key.prefix, start) for row, key in zip(active, made, strict=True) for start in minutes),
    )
    usage = {"allowed": 5, "cost": 5, "answered": 5, "latency_us_sum": 40_000}
    _all(
        UsageMinute,
        (
            UsageMinute(tenant_id=row.tenant_id, action_id=ACTIONS[0], start=start, **usage)
            for row in active
            for start in minutes
        ),
    )
    refused = active[::5]
    _all(ThrottleEvent, (_event(row, number, now) for row in refused for number in range(10)))
    _all(Incident, (_incident(row, now) for row in refused))
    _all(Alert, (_alert(row, now) for row in refused[::5]))


def _block(tenant: Tenant, prefix: str, start: datetime) -> DemandBlock:
    second = int(start.timestamp())
    points = range(second, second + 60, 12)
    demand = Demand(
        {(ACTIONS[0], prefix): dict.fromkeys(points, Calls(allowed=1, units=1))},
        {(ACTIONS[0], "minute"): dict.fromkeys(points, Level(1, 10**6, 10**6))},
    )
    return DemandBlock(tenant_id=tenant.tenant_id, start=start, data=packed.pack(demand, start=second, step_s=1))


_OF_LIMIT = {"limit_name": "minute", "policy_name": "Strict", "policy_version": 3}


def _event(tenant: Tenant, number: int, now: datetime) -> ThrottleEvent:
    name = f"{tenant.tenant_id}-{number}"
    return ThrottleEvent(
        stream_id=f"1-{name}",
        at=now - timedelta(seconds=60 + number * 60),
        tenant_id=tenant.tenant_id,
        action_id=ACTIONS[0],
        key_prefix="bench",
        request_id=name,
        decision_id=name,
        used=1,
        quota=1,
        effective_limit=1,
        multiplier=1,
        cost=1,
        retry_after_ms=30_000,
        **_OF_LIMIT,
    )


def _incident(tenant: Tenant, now: datetime) -> Incident:
    of = {"tenant_id": tenant.tenant_id, "action_id": ACTIONS[0], **_OF_LIMIT}
    first, last = now - timedelta(minutes=10), now - timedelta(minutes=1)
    return Incident(at=first, last_at=last, refusals=10, quota=1, effective_limit=1, by_key={"bench": 10}, **of)


def _alert(tenant: Tenant, now: datetime) -> Alert:
    of = {"tenant_id": tenant.tenant_id, "action_id": ACTIONS[0], **_OF_LIMIT}
    return Alert(at=now - timedelta(minutes=10), threshold=100, used=1, effective_limit=1, **of)
