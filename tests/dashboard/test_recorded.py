"""The demand of a span for a chart: from store and database together, with the times that nobody recorded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from django.db import connections

from dashboard import recorded
from dashboard.spans import Span
from limiter import clients
from limiter.core import keys
from limiter.demand import blocks
from limiter.demand.coverage import Covered
from limiter.demand.models import RecordedSpan
from limiter.demand.points import Calls, Demand
from limiter.live.queries import Aside
from tests.limiter.core.given import store_at

pytestmark = pytest.mark.django_db(transaction=True)
NOW = int(time.time()) // 60 * 60
HOUR = Span(NOW - 3_600, NOW, 60)


@pytest.fixture
async def aside() -> AsyncIterator[Aside]:
    made = Aside(1, name="test")
    yield made
    await made.close()


def in_the_database(*spans: Covered, called: int = NOW - 7_020) -> None:
    for minute in {NOW - 7_020, called}:
        calls = {minute + 20: Calls(allowed=1)}
        blocks.add(minute, 60, {"acme": Demand({("lookupOrder", ""): calls})})
    for span in spans:
        RecordedSpan.objects.create(start=blocks.moment(span.start), end=blocks.moment(span.end))
    connections.close_all()


async def covered(redis_url: str, aside: Aside) -> list[Covered]:
    store = store_at(redis_url)
    found = await recorded.read(store, aside, "acme", 1, HOUR, now=NOW)
    await store.close()
    return list(found.covered)


async def test_before_workers_noted_their_seconds_all_since_the_beginning_counts(redis_url: str, aside: Aside) -> None:
    await asyncio.to_thread(in_the_database)
    (span,) = await covered(redis_url, aside)
    assert span.start <= NOW - 7_020 < NOW <= span.end


async def test_time_without_a_worker_is_known_to_be_unknown(redis_url: str, aside: Aside) -> None:
    away, old, back = NOW - 1_800, NOW - 1_200, NOW - 900
    await asyncio.to_thread(in_the_database, Covered(NOW - 2_400, away), Covered(back, NOW - 60), called=old)
    client = clients.client()
    client.zadd(keys.recorded(), {str(second): second for second in range(NOW - 60, NOW)})
    client.close()
    first, of_an_earlier_release, last = await covered(redis_url, aside)
    assert (first.end, of_an_earlier_release, last.start) == (away, Covered(old, old + 60), back)
    assert last.end >= NOW
