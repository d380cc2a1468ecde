"""An upstream that lies about its load, over real HTTP: the cost, and that calls come back by themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio

from limiter.core import keys
from limiter.core.pausing import FORM
from limiter.models import QuotaPolicy
from quota_platform.sandbox import Running
from tenants.models import Connection
from tests.limiter.gateway.two_workers import TwoWorkers

pytestmark = pytest.mark.django_db(transaction=True)
S = 1_000_000


@pytest_asyncio.fixture
async def workers(
    acme_key: str, redis_url: str, sandbox: Running, base_policy: QuotaPolicy
) -> AsyncIterator[TwoWorkers]:
    made = TwoWorkers(acme_key, redis_url, sandbox, pauses=True)
    async with made.running():
        yield made


async def paused(workers: TwoWorkers, connection: Connection) -> tuple[float, int | None]:
    """How long the pause that is stored lasts (s), and the wait in the response (us)."""
    name = keys.pause(connection.pk)
    stored = FORM.text((await workers.runtimes[0].store.command("GET", name, key=name)).decode())
    return (stored.until_us - stored.since_us) / S, stored.asked_us


HEADERS: dict[str, tuple[Mapping[str, str], float]] = {
    "at once": ({"Retry-After": "0"}, 2),
    "garbage": ({"Retry-After": "soon"}, 2),
    "a negative number": ({"Retry-After": "-5"}, 2),
    "twice, and not the same": ({"Retry-After": "5, 9"}, 2),
    "a date in the past": ({"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}, 2),
    "an hour": ({"Retry-After": "3600"}, 900),
    "a century": ({"Retry-After": "3155760000"}, 900),
}


@pytest.mark.parametrize("lie", HEADERS)
async def test_a_wait_that_cannot_be_true_pauses_for_a_while_that_is(
    workers: TwoWorkers, connection: Connection, lie: str
) -> None:
    headers, lasts_s = HEADERS[lie]
    workers.sandbox.state.faults.add({"fault": "429", "count": 1, "headers": dict(headers)})
    first, second = await workers.call(worker=0), await workers.call(worker=1)
    assert (first.status, second.status) == (429, 429)
    assert (await paused(workers, connection))[0] == pytest.approx(lasts_s, abs=0.01)
    assert lasts_s - 2 <= int(first.headers["retry-after"]) <= lasts_s, "that of the pause, not the upstream's"
    assert int(second.headers["retry-after"]) <= lasts_s
    assert second.json["type"] == "urn:quota-platform:problem:upstream-overloaded"


async def test_a_unit_that_turns_everything_away_gets_one_call_for_each_pause(
    workers: TwoWorkers, connection: Connection
) -> None:
    connection.max_pause_s = 1
    await connection.asave()
    workers.sandbox.state.faults.add({"fault": "429", "headers": {"Retry-After": "3600"}})
    statuses = [(await workers.call(worker=number % 2)).status for number in range(12)]
    assert set(statuses) == {429}
    sent = sum(entry.path != "/auth/token" for entry in workers.sandbox.state.log.entries())
    assert 1 <= sent <= 3, "twelve calls within a pause of a second, or two on a slow machine"


async def test_an_error_inside_a_200_is_the_caller_s_to_see_and_pauses_nobody(
    workers: TwoWorkers, connection: Connection
) -> None:
    workers.sandbox.state.faults.add({"fault": "error_in_200", "count": 1})
    spoilt, next_one = await workers.call(worker=0), await workers.call(worker=1)
    assert (spoilt.status, next_one.status) == (200, 200)
    assert spoilt.json == {"errorCount": 1, "results": [{"success": False, "error": "InvalidRow"}]}
    name = keys.pause(connection.pk)
    assert not await workers.runtimes[0].store.command("EXISTS", name, key=name)
