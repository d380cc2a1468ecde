"""What callers asked for is recorded by the second, refused or not, whether or not anybody watches."""

from __future__ import annotations

import asyncio
import time

import pytest
from django.db import connections

from limiter import clients
from limiter.demand import keeping, series
from limiter.demand.points import Calls, Demand
from limiter.models import QuotaPolicy
from tenants import credentials
from tests.limiter.gateway.conftest import Gateway

pytestmark = pytest.mark.django_db(transaction=True)


def stored(tenant_id: str) -> Demand:
    """What the tasks make of it."""
    client = clients.client()
    try:
        keeping.store_all(client, now_s=time.time() + 120)
        return series.between(tenant_id, 0, int(time.time()) + 60)
    finally:
        client.close()
        connections.close_all()


def summed(demand: Demand) -> dict[tuple[str, str], Calls]:
    sums: dict[tuple[str, str], Calls] = {}
    for name, _, calls in demand.each_calls():
        sums[name] = sums.get(name, Calls()).plus(calls)
    return sums


async def test_demand_says_what_the_callers_asked_for(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy
) -> None:
    seen = [(await gateway.invoke("lookupOrder", key=acme_key)).status for _ in range(105)]
    await gateway.runtime.gateway.demand.send()
    demand = await asyncio.to_thread(stored, "acme")
    ((found, calls),) = summed(demand).items()
    assert found == ("lookupOrder", credentials.prefix_of(acme_key))
    assert (calls.allowed, calls.refused) == (seen.count(200), seen.count(429)) == (100, 5)
    assert (calls.units, calls.refused_units, calls.came) == (100, 5, 105)
    ((_, limit),) = demand.limits
    levels = demand.limits["lookupOrder", limit].values()
    assert (max(level.used for level in levels), sum(level.refused for level in levels)) == (100, 5)
    assert {(level.effective, level.quota) for level in levels} == {(100, 100)}
