"""From the responses that callers saw to the rows that say so, and what probes tell of the way between."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.conf import settings
from django.db import connections
from django.db.models import Sum

from limiter import clients
from limiter.core import keys
from limiter.models import QuotaPolicy, ThrottleEvent, UsageMinute
from limiter.record import keeping
from tests.limiter.gateway.conftest import Gateway

pytestmark = pytest.mark.django_db(transaction=True)


def store_everything() -> dict[str, Any]:
    """The tasks, and the rows that they leave in the database."""
    client = clients.client()
    try:
        keeping.store_events()
        keeping.store_usage()
        assert keeping.store_all(client) == keeping.store_all_usage(client) == 0
        usage = UsageMinute.objects.aggregate(allowed=Sum("allowed"), refused=Sum("refused"), answered=Sum("answered"))
        events = ThrottleEvent.objects.aggregate(refusals=Sum("count"))
        decisions = ThrottleEvent.objects.values_list("decision_id", flat=True)
        return {**usage, **events, "decisions": set(decisions)}
    finally:
        client.close()
        connections.close_all()


async def test_the_record_says_what_the_callers_saw(gateway: Gateway, acme_key: str, base_policy: QuotaPolicy) -> None:
    responses = [await gateway.invoke("lookupOrder", key=acme_key) for _ in range(150)]
    await gateway.recorded()
    seen = [response.status for response in responses]
    refused = [response.json["decision_id"] for response in responses if response.status == 429]
    kept = await asyncio.to_thread(store_everything)
    assert (seen.count(200), len(refused)) == (100, 50)
    assert (kept["allowed"], kept["answered"], kept["refused"], kept["refusals"]) == (100, 100, 50, 50)
    assert kept["decisions"] <= set(refused) and refused[-1] in kept["decisions"]


async def test_probes_tell_how_far_the_record_is_behind(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy
) -> None:
    for _ in range(101):
        await gateway.invoke("lookupOrder", key=acme_key)
    await gateway.runtime.heartbeat.report()
    store = gateway.runtime.store
    await store.command(
        *("HSET", keys.tasks(), "store_events", '{"at": 1, "ok": false, "took_ms": 12.5, "error": "OperationalError"}'),
        key=keys.tasks(),
    )
    token = settings.ENV.METRICS_TOKEN.get_secret_value()
    bearer = [("authorization", f"Bearer {token}")]
    record = (await gateway.caller.call("GET", "/readyz", headers=bearer)).json["checks"]["record"]
    assert (record["ok"], record["events_waiting"], record["late"]) == (True, 1, False)
    assert record["tasks"]["store_events"]["succeeded"] is False
    page = await gateway.caller.call("GET", "/metrics", headers=bearer)
    text = page.body.decode()
    assert "quota_throttle_events_waiting 1.0" in text and "quota_record_lag_seconds " in text
    assert 'quota_task_ok{task="store_events"} 0.0' in text
    assert 'quota_task_took_seconds{task="store_events"} 0.0125' in text
