"""Fifty who drain at once, on PostgreSQL: everything is stored once, and the chains have one end.

Not collected on SQLite, which has one writer at a time; `make test-postgres` runs it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections
from django.db.models import Sum

from limiter import clients
from limiter.core import keys
from limiter.models import AuditEntry, ThrottleEvent, UsageDay, UsageMinute
from limiter.record import chain, events, usage
from limiter.record.chain import Draft
from limiter.record.drain import drain
from limiter.record.scripts import Client
from limiter.record.verify import verify
from tests.limiter.core.given import T0, S
from tests.limiter.record.given import refuse

pytestmark = pytest.mark.django_db(transaction=True)
DRAINERS = 50


def at_once(work: Callable[[Client], int]) -> int:
    """Let fifty do the same work on connections of their own; the sum of their results."""
    ready = Barrier(DRAINERS)

    def one(number: int) -> int:
        client = clients.client()
        try:
            ready.wait()
            return work(client)
        finally:
            client.close()
            connections.close_all()

    with ThreadPoolExecutor(DRAINERS) as pool:
        return sum(pool.map(one, range(DRAINERS)))


def test_each_event_is_stored_once(redis_url: str) -> None:
    refuse(redis_url, 600)
    refuse(redis_url, 200, tenant="globex", per_second=100, name="g", after_s=100)

    def work(client: Client) -> int:
        stream = events.of(client, 1)
        stored = drain(stream, events.write, batch=7, idle_ms=0)  # idle_ms: they take from each other, too
        return stored + events.store_floods(client, 1)

    # 600 and 20 by themselves, two rows for the rest of two floods
    assert at_once(work) == ThrottleEvent.objects.count() == 622
    assert ThrottleEvent.objects.aggregate(refusals=Sum("count")) == {"refusals": 800}
    with clients.client() as client:
        assert drain(events.of(client, 1), events.write, idle_ms=0) == 0
        assert client.xlen(keys.events(1)) == 0
    checked = verify()
    assert (checked.events, checked.refusals) == (622, 800)


def test_each_count_is_added_once(redis_url: str) -> None:
    def work(client: Client) -> int:
        for number in range(20):
            field = f"{T0 // (60 * S) + number % 3}|acme|a{number % 4}|allowed"
            client.hincrby(keys.usage(1), field, 1)
            usage.drain(client, 1)
        return 20

    assert at_once(work) == 1_000
    with clients.client() as client:
        usage.drain(client, 1)
        usage.drain(client, 1)
    for model in (UsageMinute, UsageDay):
        assert model.objects.aggregate(allowed=Sum("allowed"), cost=Sum("cost")) == {"allowed": 1_000, "cost": 1_000}


def test_entries_of_many_writers_make_one_chain(redis_url: str) -> None:
    def work(client: Client) -> int:
        return len(chain.append([Draft("test", tenant_id="acme"), Draft("once", tenant_id="acme", once="only")]))

    assert at_once(work) == DRAINERS + 1
    positions = AuditEntry.objects.filter(tenant_id="acme").order_by("position").values_list("position", flat=True)
    assert list(positions) == list(range(1, DRAINERS + 2))
    assert verify().entries == DRAINERS + 1
