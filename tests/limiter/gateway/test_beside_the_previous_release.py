"""Workers of this release and of the previous one, its own code, on one store and one database, over real sockets.

Each goes on with what the other has left there: shared limits, a learned pace, appointments, and calls that wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import redis

from limiter.core import keys
from limiter.core.pacing import pace_or_none
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from quota_platform.env import BASE_DIR
from quota_platform.sandbox import Running
from quota_platform.sandbox.fields import Fields
from tenants.models import Action, Connection, Tenant
from tests.limiter.gateway import test_killed_while_waiting as waiting
from tests.limiter.gateway.test_hidden_limits import upstream
from tests.limiter.gateway.test_killed_while_sharing import Flow
from tests.patience import HANG_S, eventually
from tests.releases import previous
from tests.web_process import PATIENT, WebProcess, web_processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
Start = Callable[[str], WebProcess]
ORDERS = ("old", "new"), ("new", "old")
FLOOR, QUOTA, LENT = 20, 60, 5
LIMITS: dict[str, dict[str, Any]] = {"sliding_log": {}, "sliding_counter": {}, "token_bucket": {"burst": QUOTA}}
PER_MINUTE, DEMAND, LASTS_S = 300, 12.5, 20


@pytest.fixture(scope="session")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return previous.unpack(tmp_path_factory.mktemp("previous"))


@pytest.fixture
def start(earlier: Path, tmp_path: Path, redis_url: str, sandbox: Running) -> Start:
    """Starts a worker of the old release or of the new one."""
    settings = {"REDIS_URL": redis_url, "SANDBOX_HOSTS": sandbox.address, "MAX_WAIT_SECONDS": "120"} | PATIENT
    code = {"old": earlier, "new": BASE_DIR}
    return lambda release: WebProcess(tmp_path, settings, code=code[release])


@pytest.fixture
def callable_globex(globex: Tenant) -> Iterator[Tenant]:
    Action.objects.create(tenant=globex, action_id="lookupOrder")
    yield globex


@asynccontextmanager
async def ready(*nodes: WebProcess) -> AsyncIterator[aiohttp.ClientSession]:
    timeout, connector = aiohttp.ClientTimeout(HANG_S), aiohttp.TCPConnector(limit=0)
    with web_processes(*nodes):
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            for node in nodes:
                await node.until_ready(session)
            yield session


async def passed(session: aiohttp.ClientSession, node: WebProcess, path: str, key: str, *, calls: int) -> int:
    """How many of these calls pass, one after the other."""
    statuses = []
    for _ in range(calls):
        headers = {"X-API-Key": key, "Content-Type": "application/json"}
        async with session.post(f"{node.url}{path}", data=b"{}", headers=headers) as response:
            await response.read()
        statuses.append(response.status)
    assert set(statuses) <= {200, 429}
    return statuses.count(200)


async def share(tenant: Tenant, action_id: str, *, algorithm: str, floor: int) -> None:
    """A limit that tenants share, by the terms of this one, of calls of an action that has its name.

    Over a day: nothing comes free meanwhile but a unit of a bucket.
    """
    policy = await QuotaPolicy.objects.acreate(name=f"{action_id} of {tenant}", adaptive=False)
    terms = {"counted_per": "connection", "shared": True, "share_floor": floor, **LIMITS[algorithm]}
    await QuotaLimit.objects.acreate(
        policy=policy, name=action_id, algorithm=algorithm, quota=QUOTA, window_seconds=86_400, **terms
    )
    action = await Action.objects.acreate(tenant=tenant, action_id=action_id)
    await Assignment.objects.acreate(policy=policy, target="action", action=action)


async def test_units_of_a_shared_limit_stay_used_and_kept_under_the_other_release(
    acme: Tenant, globex: Tenant, acme_key: str, globex_key: str, start: Start
) -> None:
    cases = {f"{algorithm}-{'-'.join(order)}": (algorithm, order) for algorithm in LIMITS for order in ORDERS}
    for name, (algorithm, _) in cases.items():
        await share(acme, name, algorithm=algorithm, floor=0)
        await share(globex, name, algorithm=algorithm, floor=FLOOR)
    nodes = {release: start(release) for release in ORDERS[0]}
    async with ready(*nodes.values()) as session:
        for name, (algorithm, order) in cases.items():
            (first, second), path = (nodes[release] for release in order), f"/check/{name}"
            meek = await passed(session, first, path, globex_key, calls=1)
            greedy = await passed(session, first, path, acme_key, calls=QUOTA)
            more = await passed(session, second, path, acme_key, calls=LENT)
            meek += await passed(session, second, path, globex_key, calls=QUOTA)
            assert QUOTA <= meek + greedy + more <= QUOTA + 1, name
            # Release 0.2.0 has a counter's shares elsewhere: it keeps nothing of those that this release has divided.
            keeps = (algorithm, *order) != ("sliding_counter", "new", "old")
            assert more <= (0 if keeps else LENT), name
            assert meek >= QUOTA // 2 - more >= FLOOR, name


async def learn(connection: Connection, sandbox: Running) -> None:
    connection.pace, connection.shared = Connection.Pace.LEARN, True
    await asyncio.to_thread(connection.save)
    await QuotaLimit.objects.aupdate(quota=1_000_000)
    sandbox.state.unit_limits.put(Fields({"per_minute": PER_MINUTE, "burst": 10, "flavour": "retry_after"}))


@pytest.mark.paced
@pytest.mark.parametrize("order", ORDERS, ids=" then ".join)
async def test_a_learned_pace_goes_on_under_the_other_release_and_under_both(
    callable_globex: Tenant,
    acme_key: str,
    globex_key: str,
    base_policy: QuotaPolicy,
    connection: Connection,
    sandbox: Running,
    raw: redis.Redis,
    start: Start,
    order: tuple[str, str],
) -> None:
    """Tenants share it where the new release decides, though the old one, which knows nothing of that, came first."""
    await learn(connection, sandbox)
    first, second, third = (start(release) for release in (*order, order[0]))
    flooded, seen = ((acme_key, DEMAND), (globex_key, 2)), list[float]()
    async with ready(first, second, third) as session:

        async def offered(*nodes: WebProcess) -> None:
            flows = [Flow(key, per_s, lasts_s=LASTS_S, path="invoke") for key, per_s in flooded]
            before = upstream(sandbox)
            await asyncio.gather(*(flow.offer(session, list(nodes)) for flow in flows))
            requests, ran = (late - early for early, late in zip(before, upstream(sandbox), strict=True))
            pace = pace_or_none(raw.get(keys.pace(connection.pk)), [None, None])
            assert pace is not None and PER_MINUTE / 2 <= pace.per_minute <= PER_MINUTE * 2
            seen.append(requests / ran)

        await offered(first)
        first.kill()
        shared = raw.exists(keys.pace_shares(connection.pk))
        await offered(second)
        await offered(second, third)
    # Without a pace nearly three requests reach the upstream for each that runs.
    assert max(seen[1:]) <= 1.5, seen
    assert shared == (order[0] == "new") and raw.exists(keys.pace_shares(connection.pk))


@dataclass
class Moving(waiting.Client):
    """Comes back to a worker of the other release."""

    @property
    def node(self) -> WebProcess:
        return self.nodes[(self.number + self.lost + self.attempts) % waiting.WORKERS]


async def test_waits_and_appointments_are_kept_by_workers_of_both_releases_one_of_them_killed(
    acme: Tenant, raw: redis.Redis, start: Start
) -> None:
    issued = await waiting.clients_of_a_bucket(acme)
    nodes = [start(release) for release in ("old", "new") * (waiting.WORKERS // 2)]
    async with ready(*nodes) as session:
        began = waiting.now_us(raw)
        clients = [Moving(number, nodes, key) for number, key in enumerate(issued)]
        calls = [asyncio.create_task(client.call(session)) for client in clients]
        await eventually(lambda: waiting.a_quarter_served(clients), what="a quarter of the clients to be served")
        nodes[0].kill()
        await asyncio.wait_for(asyncio.gather(*calls), HANG_S)
        over = waiting.now_us(raw) - began
    waiting.all_kept(clients)
    allowed = int(raw.hget(keys.totals(acme.connection_id), "acme|allowed") or 0)
    assert waiting.CLIENTS <= allowed <= waiting.BURST + waiting.RATE * over / 1_000_000
