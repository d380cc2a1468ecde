"""The rows of the gateway under measurement, made in a process of their own: prints its tenants' API keys as JSON.

Two tenants on one connection, each with a stack of a token bucket, a sliding log and a sliding counter: ``ample``, of
which no call is refused, and ``strict``, whose second call within the hour is refused.
"""

from __future__ import annotations

import json

from django.core.management import call_command
from django.db import transaction

from limiter.core.types import CountedPer
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from tenants.models import Action, ApiKey, Connection, Tenant

ACTIONS = ("instant", "delay-200", "delay-1000")
BURST = {"name": "burst", "algorithm": "token_bucket", "quota": 10**6, "window_seconds": 1, "burst": 10**6}
DAY = {"name": "day", "algorithm": "sliding_counter", "quota": 10**9, "window_seconds": 86_400}
LOGS = {
    "ample": {"name": "minute", "quota": 10**6, "window_seconds": 60},
    "strict": {"name": "hour", "quota": 1, "window_seconds": 3600},
}


def main(upstream_port: int) -> None:
    call_command("migrate", verbosity=0)
    base_url = f"http://127.0.0.1:{upstream_port}"
    connection = Connection(name="bench", is_sandbox=True, base_url=base_url, client_id="bench")
    connection.set_client_secret("bench")
    connection.full_clean()
    connection.save()
    print(json.dumps({tenant_id: _key_of(tenant_id, connection) for tenant_id in LOGS}))


def _key_of(tenant_id: str, connection: Connection) -> str:
    tenant = Tenant.objects.create(tenant_id=tenant_id, name=tenant_id, connection=connection)
    for action_id in ACTIONS:
        Action.objects.create(tenant=tenant, action_id=action_id)
    policy = QuotaPolicy.objects.create(name=tenant_id, adaptive=True)
    per_tenant = {"counted_per": CountedPer.TENANT}
    for fields in (BURST | per_tenant, LOGS[tenant_id], DAY | per_tenant):
        limit = QuotaLimit(policy=policy, **fields)
        limit.full_clean()
        limit.save()
    Assignment.objects.create(policy=policy, target=Assignment.Target.TENANT, tenant=tenant)
    return ApiKey.objects.issue(name="bench", tenant=tenant)[1]


def crowd(number: int) -> None:
    """As many tenants more, each with a key of its own, under the policy of ``ample``; prints the keys."""
    ample = Tenant.objects.get(tenant_id="ample")
    policy = QuotaPolicy.objects.get(name="ample")
    names = [f"cold-{each}" for each in range(number)]
    made = Tenant.objects.bulk_create(Tenant(tenant_id=name, name=name, connection=ample.connection) for name in names)
    Action.objects.bulk_create(Action(tenant=tenant, action_id=ACTIONS[0]) for tenant in made)
    Assignment.objects.bulk_create(
        Assignment(policy=policy, target=Assignment.Target.TENANT, tenant=tenant) for tenant in made
    )
    with transaction.atomic():
        print(json.dumps([ApiKey.objects.issue(name="bench", tenant=tenant)[1] for tenant in made]))
