"""One call that the upstream turns away spares it all the others, on every worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from limiter.core import keys
from limiter.models import QuotaPolicy
from limiter.record import events
from limiter.record.explain import explain
from quota_platform.sandbox import Running
from tenants.models import Connection, Tenant
from tests.limiter.gateway.two_workers import TwoWorkers

pytestmark = pytest.mark.django_db(transaction=True)


class Workers(TwoWorkers):
    @property
    def sent(self) -> int:
        """Requests that reached the upstream, tokens left out."""
        return sum(entry.path != "/auth/token" for entry in self.sandbox.state.log.entries())


@pytest_asyncio.fixture
async def workers(acme_key: str, redis_url: str, sandbox: Running, base_policy: QuotaPolicy) -> AsyncIterator[Workers]:
    made = Workers(acme_key, redis_url, sandbox, pauses=True)
    async with made.running():
        yield made


async def test_a_unit_that_turns_one_call_away_is_spared_the_others(workers: Workers) -> None:
    workers.sandbox.state.faults.add({"fault": "429", "headers": {"Retry-After": "600"}})
    first = await workers.call(worker=0)
    before = workers.sent
    others = await asyncio.gather(*[workers.call(worker=number % 2) for number in range(20)])
    assert workers.sent == before
    assert {first.status, *(other.status for other in others)} == {429}
    for answered in others:
        assert answered.json["type"] == "urn:quota-platform:problem:upstream-overloaded"
        assert 500 < int(answered.headers["retry-after"]) <= 600
        assert answered.json["retry_after_ms"] <= 600_000


async def test_a_call_held_back_is_charged_to_nobody_and_kept_as_the_upstream_s_doing(
    workers: Workers, connection: Connection
) -> None:
    workers.sandbox.state.faults.add({"fault": "429", "headers": {"Retry-After": "600"}})
    for _ in range(3):
        await workers.call(worker=1)
    peek = await workers.callers[0].call(
        "POST", "/check/lookupOrder", headers=[("X-API-Key", workers.key)], query="peek=1"
    )
    assert peek.json["limits"][0]["used"] == 0
    store = workers.runtimes[0].store
    stream = keys.events(connection.pk)
    rows = [
        events.event(entry[0].decode(), entry[1][1].decode())
        for entry in await store.command("XRANGE", stream, "-", "+", key=stream)
    ]
    assert [(row.limit_name, row.shadow) for row in rows] == [("(upstream)", False)] * 2
    data = await asyncio.to_thread(explain, rows[0])
    assert data.sentence.startswith("This call was held back: the upstream had asked an earlier call to wait")
    assert len(data.remedies) == 1


@pytest.mark.parametrize("switch", [True, False], ids=["bound", "not bound"])
async def test_a_connection_says_whether_a_429_binds_its_other_calls(
    workers: Workers, connection: Connection, switch: bool
) -> None:
    connection.pause_on_pushback = switch
    await asyncio.to_thread(connection.save)
    workers.sandbox.state.faults.add({"fault": "429", "count": 1, "headers": {"Retry-After": "600"}})
    assert [(await workers.call(worker=0)).status for _ in range(2)] == [429, 429 if switch else 200]


async def test_a_check_for_another_gateway_is_held_back_too(workers: Workers) -> None:
    workers.sandbox.state.faults.add({"fault": "429", "headers": {"Retry-After": "600"}})
    await workers.call(worker=0)
    answered = await workers.callers[1].call("POST", "/check/lookupOrder", headers=[("X-API-Key", workers.key)])
    assert (answered.status, answered.json["type"]) == (429, "urn:quota-platform:problem:upstream-overloaded")


async def test_a_unit_that_turns_calls_away_inside_a_200_is_spared_the_others_and_paid_nothing(
    workers: Workers, acme: Tenant
) -> None:
    rule = {"failure_at": "/errorCount", "failure_counts_as": "overload"}
    await asyncio.to_thread(acme.actions.update, **rule)
    workers.sandbox.state.faults.add({"fault": "error_in_200", "headers": {"Retry-After": "600"}})
    first = await workers.call(worker=0)
    before = workers.sent
    others = [await workers.call(worker=number % 2) for number in range(3)]
    assert ({first.status, *(each.status for each in others)}, workers.sent) == ({429}, before)
    peek = await workers.callers[0].call(
        "POST", "/check/lookupOrder", headers=[("X-API-Key", workers.key)], query="peek=1"
    )
    assert peek.json["limits"][0]["used"] == 0
