"""Tokens are asked for once, shared by all, renewed early, dropped when refused; and a bad day is survived."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import redis.asyncio

from limiter.core import keys
from limiter.upstream import grants, health, tokens, vault
from limiter.upstream.client import Client
from limiter.upstream.discovery import Endpoints
from limiter.upstream.errors import NotConfigured, Unreachable
from limiter.upstream.grants import Grant, GrantFailed, GrantRefused
from limiter.upstream.tokens import Mint, Minted, TokenCache
from limiter.upstream.vault import Vault, fingerprint
from quota_platform.sandbox import Running, running_in_thread
from tenants import directory, spec_data
from tenants.directory import ConnectionSpec
from tests.limiter.upstream.conftest import LOOKUP, Connect, HandClock, MakeClient, call_to, connection_to
from tests.patience import eventually

pytestmark = pytest.mark.filterwarnings("error")


class Issuer:
    """A token endpoint in the place of the real one: the grant or error that comes next, a count of requests."""

    def __init__(self, *, lifetime_s: float = 3600.0) -> None:
        self.asked = 0
        self.lifetime_s = lifetime_s
        self.raises: list[Exception] = []
        self.hold: asyncio.Event | None = None

    async def __call__(self, connection: ConnectionSpec, known: Endpoints) -> Minted:
        self.asked += 1
        if self.hold is not None:
            await self.hold.wait()
        if self.raises:
            raise self.raises.pop(0)
        grant = Grant(f"token-{self.asked}", self.lifetime_s)
        return Minted(grant, Endpoints("", 0.0, connection.base_url, 0.0, fingerprint(connection)))


CONNECTION = connection_to("http://127.0.0.1:8801")
MARK = fingerprint(CONNECTION)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


def worker(store: redis.asyncio.Redis | None, issuer: Mint, clock: HandClock) -> TokenCache:
    return TokenCache(vault=Vault(store), mint=issuer, clock=clock.as_clock())


async def test_a_good_token_in_memory_costs_no_wait(
    store: redis.asyncio.Redis, issuer: Issuer, clock: HandClock
) -> None:
    here = worker(store, issuer, clock)
    token = await here.get(CONNECTION, MARK)

    assert here.peek(MARK) is token
    with pytest.raises(StopIteration) as done:
        here.get(CONNECTION, MARK).send(None)  # finished without ever giving the loop a turn
    assert done.value.value is token
    assert issuer.asked == 1


async def test_a_token_is_sealed_in_the_store_and_good_for_every_worker(
    store: redis.asyncio.Redis, issuer: Issuer, clock: HandClock
) -> None:
    first = await worker(store, issuer, clock).get(CONNECTION, MARK)
    second = await worker(store, issuer, clock).get(CONNECTION, MARK)

    assert (first.value, second.value, issuer.asked) == ("token-1", "token-1", 1)
    stored = await store.get(keys.token(CONNECTION.uid))
    assert isinstance(stored, bytes) and b"token-1" not in stored
    assert 3590 < await store.ttl(keys.token(CONNECTION.uid)) <= 3600


async def test_a_token_is_renewed_behind_its_callers_back(
    store: redis.asyncio.Redis, issuer: Issuer, clock: HandClock
) -> None:
    here = worker(store, issuer, clock)
    await here.get(CONNECTION, MARK)
    await store.delete(keys.token(CONNECTION.uid))
    clock.seconds = 3575.0  # 30 s before its end is 3570

    assert here.peek(MARK) is None
    assert (await here.get(CONNECTION, MARK)).value == "token-1"
    while here.peek(MARK) is None:
        await asyncio.sleep(0)

    renewed = here.peek(MARK)
    assert renewed is not None and renewed.value == "token-2"


@pytest.mark.parametrize(("lifetime", "skew", "early"), [(3600.0, 30, 30.0), (3600.0, 3600, 720.0), (2.0, 30, 0.4)])
def test_the_skew_is_at_most_a_fifth_of_the_lifetime(lifetime: float, skew: int, early: float) -> None:
    connection = connection_to("http://127.0.0.1:8801", token_refresh_skew_s=skew)
    assert tokens.skew_s(connection, lifetime) == pytest.approx(early)


async def test_500_callers_on_an_expired_token_are_one_token_request(
    sandbox: Running, client: Client, connect: Connect, store: redis.asyncio.Redis, clock: HandClock
) -> None:
    connection = connect(connect_timeout_s=30)
    await client.invoke(call_to(connection))
    clock.seconds += 3601.0
    await store.delete(keys.token(connection.uid))
    before = sandbox.state.log.last_seq

    responses = await asyncio.gather(*(client.invoke(call_to(connection)) for _ in range(500)))

    assert {response.status for response in responses} == {200}
    assert len(sandbox.state.log.entries(since=before, endpoint="token")) == 1


@pytest.mark.parametrize("workers", [3])
async def test_workers_that_find_no_token_at_the_same_time_ask_for_one(
    store: redis.asyncio.Redis, issuer: Issuer, clock: HandClock, workers: int
) -> None:
    issuer.hold = asyncio.Event()
    waiting = [asyncio.ensure_future(worker(store, issuer, clock).get(CONNECTION, MARK)) for _ in range(workers)]
    while issuer.asked == 0:
        await asyncio.sleep(0)
    issuer.hold.set()

    got = await asyncio.gather(*waiting)

    assert {token.value for token in got} == {"token-1"}
    assert issuer.asked == 1
    assert await store.get(keys.token_lock(CONNECTION.uid)) is None


@pytest.fixture
def shared_sandbox() -> Iterator[Running]:
    with running_in_thread(clients={"demo-client": "canary-client-secret/+="}, access_keys={}) as sandbox:
        sandbox.state.put_latency({"ms": 200, "where": "token"})
        yield sandbox


async def test_several_processes_ask_for_one_token_between_them(shared_sandbox: Running, redis_url: str) -> None:
    connection = connection_to(shared_sandbox.base_url)
    tenant = directory.TenantSpec(1, "acme", "Acme", True, False, False, connection, {"lookupOrder": LOOKUP})
    order = {
        "tenant": json.dumps(spec_data.as_dict(tenant)),
        "redis_url": redis_url,
        "address": shared_sandbox.address,
        "calls": "100",
    }
    processes = [await _start(order) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"

    outputs = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))

    for output, _ in outputs:
        assert json.loads(output) == [200] * 100
    assert len(shared_sandbox.state.log.entries(endpoint="token")) == 1
    assert len(shared_sandbox.state.log.entries(endpoint="webaction")) == 300


async def _start(order: dict[str, str]) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.limiter.upstream.stampede"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(order).encode() + b"\n")
    return process


async def test_tokens_that_are_revoked_reach_no_caller(
    sandbox: Running, client: Client, make_client: MakeClient, connect: Connect
) -> None:
    connection = connect()
    other = make_client()
    await asyncio.gather(client.invoke(call_to(connection)), other.invoke(call_to(connection)))
    sandbox.state.tokens.revoke()

    calls = [(client, other)[n % 2].invoke(call_to(connection)) for n in range(100)]
    responses = await asyncio.gather(*calls)

    assert {response.status for response in responses} == {200}
    assert len(sandbox.state.log.entries(endpoint="token")) == 2


async def test_a_refused_token_that_was_replaced_meanwhile_takes_nothing_away(
    store: redis.asyncio.Redis, issuer: Issuer, clock: HandClock
) -> None:
    here, there = worker(store, issuer, clock), worker(store, issuer, clock)
    old = await here.get(CONNECTION, MARK)
    await there.get(CONNECTION, MARK)

    await here.refuse(CONNECTION, MARK, old)
    new = await here.get(CONNECTION, MARK)
    await there.refuse(CONNECTION, MARK, old)

    assert (await there.get(CONNECTION, MARK)).value == new.value == "token-2"
    assert issuer.asked == 2


async def test_a_new_token_that_is_refused_too_is_an_error_and_not_asked_for_again_at_once(
    sandbox: Running, client: Client, connect: Connect, store: redis.asyncio.Redis, clock: HandClock
) -> None:
    connection = connect()
    sandbox.state.faults.add({"fault": "401", "where": "invoke"})

    for _ in range(5):
        with pytest.raises(NotConfigured, match="access token"):
            await client.invoke(call_to(connection))

    assert len(sandbox.state.log.entries(endpoint="token")) <= 3
    fault = health.parse(await store.get(keys.health(connection.uid)))
    assert fault is not None and fault.lasting and "401" in fault.reason

    sandbox.state.faults.clear()
    clock.seconds += 11
    assert (await client.invoke(call_to(connection))).status == 200
    assert await store.get(keys.health(connection.uid)) is None


@pytest.mark.parametrize("spelt", ["errorDescription", "error_description"])
@pytest.mark.parametrize("status", [400, 401])
async def test_wrong_credentials_are_reported_and_not_hammered(
    sandbox: Running,
    client: Client,
    make_client: MakeClient,
    connect: Connect,
    store: redis.asyncio.Redis,
    clock: HandClock,
    spelt: str,
    status: int,
) -> None:
    connection = connect()
    sandbox.state.tokens.rules.error_key, sandbox.state.tokens.rules.error_status = spelt, status
    sandbox.state.accounts.add_client("demo-client", secret="rotated")

    for worker_client in (client, client, make_client()):
        with pytest.raises(NotConfigured, match="credentials"):
            await worker_client.invoke(call_to(connection))

    assert len(sandbox.state.log.entries(endpoint="token")) == 1
    faults = await health.read_async(store, [connection.uid, "another"])
    assert list(faults) == [connection.uid]
    assert "invalid_client" in faults[connection.uid].reason and faults[connection.uid].lasting

    sandbox.state.accounts.add_client("demo-client", secret="canary-client-secret/+=")
    clock.seconds += tokens.REFUSED_BACKOFF_S
    assert (await client.invoke(call_to(connection))).status == 200
    assert await health.read_async(store, [connection.uid]) == {}


async def test_credentials_that_were_changed_are_tried_at_once(
    store: redis.asyncio.Redis, issuer: Issuer, clock: HandClock
) -> None:
    here = worker(store, issuer, clock)
    issuer.raises = [GrantRefused("wrong secret")]
    with pytest.raises(NotConfigured):
        await here.get(CONNECTION, MARK)
    edited = connection_to("http://127.0.0.1:8801", scope="other")

    assert (await here.get(edited, fingerprint(edited))).value == "token-2"


async def test_a_token_of_other_settings_is_not_used(
    store: redis.asyncio.Redis, issuer: Issuer, clock: HandClock
) -> None:
    await worker(store, issuer, clock).get(CONNECTION, MARK)
    edited = connection_to("http://127.0.0.1:8801", client_id="another")

    assert (await worker(store, issuer, clock).get(edited, fingerprint(edited))).value == "token-2"


async def test_a_fault_of_the_moment_is_tried_three_times_then_rested_from(
    store: redis.asyncio.Redis, issuer: Issuer, clock: HandClock
) -> None:
    here = worker(store, issuer, clock)
    issuer.raises = [GrantFailed("answered 500")] * 4

    with pytest.raises(Unreachable):
        await here.get(CONNECTION, MARK)
    with pytest.raises(Unreachable):
        await here.get(CONNECTION, MARK)
    assert issuer.asked == 3

    clock.seconds += 2
    assert (await here.get(CONNECTION, MARK)).value == "token-5"


@pytest.mark.parametrize("in_time", [True, False], ids=["one", "two"])
async def test_a_token_request_that_times_out_is_made_once_more(
    store: redis.asyncio.Redis, issuer: Issuer, clock: HandClock, in_time: bool
) -> None:
    """A first call has to pass although the token endpoint is slow to start."""

    async def slow(connection: ConnectionSpec, known: Endpoints) -> Minted:
        if issuer.raises:
            clock.seconds += grants.TIMEOUT_S
        return await issuer(connection, known)

    issuer.raises = [GrantFailed("ReadTimeout")] * (1 if in_time else 2)
    here = worker(store, slow, clock)

    if in_time:
        assert (await here.get(CONNECTION, MARK)).value == "token-2"
    else:
        with pytest.raises(Unreachable):
            await here.get(CONNECTION, MARK)
    assert issuer.asked == 2
    assert clock.seconds < tokens.BUDGET_S


async def test_the_rest_after_failures_grows(store: redis.asyncio.Redis, issuer: Issuer, clock: HandClock) -> None:
    here = worker(store, issuer, clock)
    rests = []
    for _ in range(8):
        issuer.raises = [GrantFailed("answered 500")] * 3
        with pytest.raises(Unreachable):
            await here.get(CONNECTION, MARK)
        fault = health.parse(await store.get(keys.health(CONNECTION.uid)))
        assert fault is not None and not fault.lasting
        rests.append(fault.retry_at - clock.wall())
        clock.seconds = fault.retry_at - clock.wall() + clock.seconds

    assert rests == pytest.approx([1, 2, 4, 8, 16, 30, 30, 30])


async def test_a_good_token_outlives_a_token_endpoint_that_is_down(
    store: redis.asyncio.Redis, issuer: Issuer, clock: HandClock
) -> None:
    here = worker(store, issuer, clock)
    await here.get(CONNECTION, MARK)
    await store.delete(keys.token(CONNECTION.uid))
    clock.seconds = 3575.0
    issuer.raises = [GrantFailed("answered 500")] * 100

    async def tried() -> bool:
        assert (await here.get(CONNECTION, MARK)).value == "token-1"
        return issuer.asked == 1 + tokens.ATTEMPTS

    await eventually(tried, what="every attempt to fail")
    assert (await here.get(CONNECTION, MARK)).value == "token-1"
    assert issuer.asked == 1 + tokens.ATTEMPTS
    await here.close()


async def test_a_lock_whose_holder_died_is_taken_over(
    store: redis.asyncio.Redis, issuer: Issuer, clock: HandClock
) -> None:
    await store.set(keys.token_lock(CONNECTION.uid), "somebody who died", px=1)

    assert (await worker(store, issuer, clock).get(CONNECTION, MARK)).value == "token-1"


async def test_a_renewal_that_outlasts_its_lock_leaves_the_lock_of_the_next_one(store: redis.asyncio.Redis) -> None:
    async with Vault(store).renewing(CONNECTION) as ours:
        await store.set(keys.token_lock(CONNECTION.uid), "the next one")

    assert ours and await store.get(keys.token_lock(CONNECTION.uid)) == b"the next one"


class Speechless(redis.asyncio.Redis):
    """A store that does as it is asked, whose replies to SET are lost."""

    async def set(self, *args: Any, **options: Any) -> Any:
        await super().set(*args, **options)
        raise TimeoutError


async def test_a_lock_whose_reply_was_lost_is_released(store: redis.asyncio.Redis, redis_url: str) -> None:
    async with Speechless.from_url(redis_url) as speechless, Vault(speechless).renewing(CONNECTION) as ours:
        assert ours and await store.exists(keys.token_lock(CONNECTION.uid))

    assert not await store.exists(keys.token_lock(CONNECTION.uid))


@pytest.mark.parametrize("away", [True, False])
async def test_tokens_work_without_a_store(issuer: Issuer, clock: HandClock, away: bool) -> None:
    nobody = redis.asyncio.Redis.from_url("redis://127.0.0.1:1/0") if away else None
    here = worker(nobody, issuer, clock)

    got = await asyncio.gather(*(here.get(CONNECTION, MARK) for _ in range(50)))
    await here.refuse(CONNECTION, MARK, got[0])
    again = await here.get(CONNECTION, MARK)

    assert {token.value for token in got} == {"token-1"}
    assert (again.value, issuer.asked) == ("token-2", 2)
    if nobody is not None:
        await nobody.aclose()


async def test_a_stored_token_that_cannot_be_opened_is_replaced(
    store: redis.asyncio.Redis, issuer: Issuer, clock: HandClock
) -> None:
    await store.set(keys.token(CONNECTION.uid), "0" * 32 + ".v1:not-ours", ex=100)

    assert (await worker(store, issuer, clock).get(CONNECTION, MARK)).value == "token-1"


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "expires_in_missing"},
        {"fault": "expires_in_string"},
        {"fault": "expires_in_zero"},
        {"fault": "expires_in_negative"},
        {"fault": "expires_in", "value": "soon"},
        {"fault": "expires_in", "value": [3600]},
        {"fault": "expires_in", "value": 1e300},
        {"fault": "camel_case"},
        {"fault": "no_id_token"},
        {"fault": "malformed", "where": "token", "count": 1},
        {"fault": "html", "where": "token", "count": 1},
        {"fault": "429", "where": "token", "count": 2},
        {"fault": "500", "where": "token", "count": 2},
        {"fault": "reset_before_headers", "where": "token", "count": 1},
        {"fault": "truncated_json", "where": "token", "count": 1},
        {"fault": "no_access_token", "count": 1},
        {"fault": "empty_access_token", "count": 1},
    ],
    ids=lambda fault: "-".join(str(value) for value in fault.values()),
)
async def test_an_odd_response_of_a_token_endpoint_is_survived(
    sandbox: Running, client: Client, connect: Connect, fault: dict[str, Any]
) -> None:
    sandbox.state.faults.add(fault)
    connection = connect("cxone")  # one for all: workers of several would wait for each other by the hand clock

    responses = await asyncio.gather(*(client.invoke(call_to(connection, START_SCRIPT)) for _ in range(3)))

    assert {response.status for response in responses} == {200}


START_SCRIPT = directory.ActionSpec(2, "start", kind="script_start", skill_id="1", script_path="A")


@pytest.mark.parametrize("skew", [-300, 300])
async def test_a_token_endpoint_whose_clock_is_wrong_is_survived(
    sandbox: Running, client: Client, connect: Connect, skew: int
) -> None:
    sandbox.state.tokens.rules.clock_skew_seconds = skew
    sandbox.state.faults.add({"fault": "expires_in_missing"})
    connection = connect()

    for _ in range(3):
        assert (await client.invoke(call_to(connection))).status == 200

    assert len(sandbox.state.log.entries(endpoint="token")) == 1


async def test_closing_while_a_token_is_asked_for_leaves_nothing_behind(
    store: redis.asyncio.Redis, issuer: Issuer, clock: HandClock
) -> None:
    issuer.hold = asyncio.Event()
    here = worker(store, issuer, clock)
    waiting = asyncio.ensure_future(here.get(CONNECTION, MARK))
    while issuer.asked == 0:
        await asyncio.sleep(0)

    await here.close()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await store.get(keys.token_lock(CONNECTION.uid)) is None


async def test_beat_renews_due_tokens_and_nothing_else(
    store: redis.asyncio.Redis, issuer: Issuer, clock: HandClock
) -> None:
    beat = worker(store, issuer, clock)
    assert not await beat.renew_if_due(CONNECTION, MARK, ahead_s=30)  # nobody uses it
    await worker(store, issuer, clock).get(CONNECTION, MARK)
    assert not await beat.renew_if_due(CONNECTION, MARK, ahead_s=30)  # an hour to go
    await store.pexpire(keys.token(CONNECTION.uid), 50_000)

    assert await beat.renew_if_due(CONNECTION, MARK, ahead_s=30)

    shelf = await Vault(store).read(CONNECTION, mark=MARK)
    assert shelf.token is not None and shelf.token.value == "token-2"
    assert issuer.asked == 2


async def test_beat_leaves_alone_what_another_is_renewing(
    store: redis.asyncio.Redis, issuer: Issuer, clock: HandClock
) -> None:
    await worker(store, issuer, clock).get(CONNECTION, MARK)
    await store.pexpire(keys.token(CONNECTION.uid), 50_000)
    await store.set(keys.token_lock(CONNECTION.uid), "another", px=vault.LOCK_S * 1000)

    assert not await worker(store, issuer, clock).renew_if_due(CONNECTION, MARK, ahead_s=30)
    assert issuer.asked == 1
