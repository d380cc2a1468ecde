"""A shared limit over whole requests on two workers: the meek beside a flooder, and a refusal that names the share."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest
import redis

from limiter.core import keys
from limiter.core.pausing import pause
from limiter.core.sharing import PACE, Refused
from limiter.core.types import Decision, Limit, LimitState, Share, ShareState
from limiter.gateway import problems
from limiter.gateway.runtime import GatewaySettings
from limiter.gateway.waiting import WaitBounds
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from quota_platform.sandbox import Running
from tenants.models import Action, ApiKey, Tenant
from tests.asgi import Answered
from tests.limiter.gateway.conftest import Gateway
from tests.limiter.gateway.two_workers import TwoWorkers
from tests.patience import eventually

pytestmark = pytest.mark.django_db(transaction=True)
PAUSE_US = 200_000_000


@pytest.fixture
def gateway_settings() -> GatewaySettings:
    return GatewaySettings(wait_bounds=WaitBounds(seconds=250))


@pytest.fixture
def pool(acme: Tenant, globex: Tenant) -> QuotaPolicy:
    """100 units of an hour, shared by both."""
    Action.objects.create(tenant=globex, action_id="lookupOrder")
    policy = QuotaPolicy.objects.create(name="Pool", adaptive=False)
    QuotaLimit.objects.create(
        policy=policy, name="pool", quota=100, window_seconds=3600, counted_per="connection", shared=True
    )
    Assignment.objects.create(policy=policy, target="default")
    return policy


@pytest.fixture
def bulk_key(acme: Tenant) -> str:
    return ApiKey.objects.issue(name="Reports", tenant=acme, max_class="bulk")[1]


async def test_the_share_of_the_meek_is_kept_on_every_worker(
    redis_url: str, sandbox: Running, acme_key: str, globex_key: str, pool: QuotaPolicy
) -> None:
    workers = TwoWorkers(acme_key, redis_url, sandbox)
    async with workers.running():

        async def call(key: str, worker: int) -> int:
            return (
                await workers.callers[worker].call(
                    "POST", "/invoke/lookupOrder", body=b"{}", headers=[("X-API-Key", key)]
                )
            ).status

        meek = [await call(globex_key, 0)]
        flood = await asyncio.gather(*(call(acme_key, n % 2) for n in range(120)))
        meek += await asyncio.gather(*(call(globex_key, n % 2) for n in range(49)))
    assert flood.count(200) == 50
    assert meek == [200] * 50


async def test_calls_of_a_key_with_a_lower_class_have_an_account_of_that_class(
    gateway: Gateway, redis_url: str, acme_key: str, bulk_key: str, pool: QuotaPolicy
) -> None:
    for key in (acme_key, bulk_key):
        assert (await gateway.invoke("lookupOrder", key=key)).status == 200
    with redis.Redis.from_url(redis_url, decode_responses=True) as store:
        (shares,) = store.keys("*:shares*")
        accounts = set(store.hkeys(shares))
    assert {"2|1|0|0|acme", "3|1|0|0|acme"} <= accounts


async def test_every_call_that_waits_counts_once_as_demand(
    gateway: Gateway, raw: redis.Redis, acme: Tenant, acme_key: str, globex_key: str, pool: QuotaPolicy
) -> None:
    """Also one that waited behind others and was not decided until then: else the share of its tenant shrinks."""
    await QuotaLimit.objects.filter(policy=pool).aupdate(quota=2, window_seconds=200)
    assert [(await gateway.invoke("lookupOrder", key=acme_key)).status for _ in range(2)] == [200, 200]
    waiting = gateway.runtime.gateway.waiting
    calls: list[asyncio.Task[Answered]] = []
    for number in range(1, 5):
        made = gateway.invoke("lookupOrder", key=globex_key, headers={"Prefer": "wait=240"})
        calls.append(asyncio.create_task(made))

        async def wait(number: int = number) -> bool:
            return waiting.calls == number

        await eventually(wait, what="the call to wait")
    waiting.stop()
    assert [each.status for each in await asyncio.gather(*calls)] == [429] * 4
    (shares,) = raw.keys("*:shares*")
    fields: Any = raw.hgetall(shares)
    (account,) = (name for name in fields if name.endswith(b"|globex") and not name.startswith(b"~"))
    _, asked = struct.unpack_from("<dd", fields[account])
    _, _, asked_before = struct.unpack_from("<ddd", fields[b"~" + account])
    assert asked + asked_before == 4


async def test_a_refusal_names_the_share_in_its_problem_and_its_event(
    gateway: Gateway, acme_key: str, globex_key: str, pool: QuotaPolicy
) -> None:
    assert (await gateway.invoke("lookupOrder", key=globex_key)).status == 200
    for _ in range(51):
        refused = await gateway.invoke("lookupOrder", key=acme_key)
    assert refused.status == 429
    (share,) = refused.json["shares"]
    kept = share.pop("kept_for_others")
    assert kept >= 49
    assert share == {"limit": "pool", "refused_by": "share", "share": 50, "used": 50, "borrowed": 0, "lent": 0}
    assert f"50 by you, and your share is 50; {kept} are kept for others" in refused.json["detail"]
    assert refused.headers["ratelimit"].startswith('"pool";r=0')


@pytest.mark.parametrize(
    ("share", "said"),
    [
        ({"refused": Refused.SHARE, "owed": 1}, "your share is 5; 1 is kept for others;"),
        ({"refused": Refused.SHARE, "owed": 2, "even": 4}, "your share is 5; 2 are kept for others; of yours 1 is bor"),
        ({"refused": Refused.FULL, "even": 6}, "your share is 5; of your part 1 is lent to others;"),
        ({"refused": Refused.FULL, "even": 7}, "your share is 5; of your part 2 are lent to others;"),
    ],
)
def test_a_refusal_counts_single_units_in_the_singular(share: dict[str, int], said: str) -> None:
    limit = Limit("pool", "sliding_log", 10, window_us=60_000_000, share=Share())
    state = LimitState(limit, used=10, effective=10, wait_us=1, reset_us=1)
    found = ShareState(limit, **{"share": 5, "used": 5, "owed": 0, "even": 5} | share)
    decision = Decision(False, "d", 0, 1, 1_000_000, (state,), retry_after_us=1, shares=(found,))
    names = {"decision_id": "d", "tenant_id": "acme", "action_id": "lookupOrder"}
    assert said in problems.refusal(decision, **names, reduced_status=429).detail


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (None, "takes; its turn is in"),
        (Refused.CEILING, "takes, and at your ceiling of 174 calls a minute; its turn is in"),
        (
            Refused.SHARE,
            "and before its turn in your share, 174 calls a minute, of which you made 37 in the last; its",
        ),
        (
            Refused.FULL,
            "of which your share is 174 calls a minute: calls that were due before it are served first; its",
        ),
    ],
)
def test_a_call_that_a_pace_holds_back_is_given_its_share_and_its_turn(refused: Refused | None, said: str) -> None:
    """Calls of a share come evenly: one may come too soon though the last minute had few of them."""
    limit = Limit(PACE, "sliding_log", 1, window_us=60_000_000, share=Share())
    shares = () if refused is None else (ShareState(limit, share=174, used=37, owed=0, even=174, refused=refused),)
    paced: dict[str, Any] = {"paused_us": 26_000, "above_pace": True, "retry_after_us": 26_000, "shares": shares}
    decision = Decision(False, "d", 0, 1, 1_000_000, (), **paced)
    names = {"decision_id": "d", "tenant_id": "acme", "action_id": "lookupOrder"}
    detail = problems.refusal(decision, **names, reduced_status=429).detail
    assert said in detail and "26 ms. It was not sent" in detail


async def test_calls_of_a_flooder_that_wait_do_not_hold_up_those_of_the_meek(
    gateway: Gateway, acme_key: str, globex_key: str, pool: QuotaPolicy
) -> None:
    await QuotaLimit.objects.aupdate(quota=40, window_seconds=1)
    await QuotaPolicy.objects.filter(pk=pool.pk).aupdate(wait_seconds=200)
    flood = [asyncio.create_task(gateway.invoke("lookupOrder", key=acme_key)) for _ in range(120)]

    async def many_wait() -> bool:
        return gateway.runtime.gateway.waiting.calls > 50

    await eventually(many_wait, what="the flooder's calls to wait")
    meek = [gateway.invoke("lookupOrder", key=globex_key) for _ in range(10)]
    responses = await asyncio.gather(*meek, *flood)
    assert {each.status for each in responses} == {200}
    served = [each.tenant_id for each in gateway.upstream.calls]
    assert len(served) == 130
    assert "globex" not in served[-30:]


async def test_at_the_end_of_a_pause_the_critical_calls_go_first(
    gateway: Gateway, acme: Tenant, acme_key: str, globex: Tenant, globex_key: str, pool: QuotaPolicy
) -> None:
    urgent = await QuotaPolicy.objects.acreate(name="Urgent", adaptive=False)
    limit = await QuotaLimit.objects.aget(policy=pool)
    limit.pk, limit.policy, limit.share_class = None, urgent, "critical"
    await limit.asave()
    await Assignment.objects.acreate(policy=urgent, target="tenant", tenant=globex)
    waiting, store = gateway.runtime.gateway.waiting, gateway.runtime.store
    await pause(store, acme.connection_id, status=429, said_us=PAUSE_US, max_us=PAUSE_US)

    async def come(key: str, *, then: int) -> asyncio.Task[Answered]:
        async def all_wait() -> bool:
            return waiting.calls == then

        call = asyncio.create_task(gateway.invoke("lookupOrder", key=key, headers={"Prefer": "wait=250"}))
        await eventually(all_wait, what=f"{then} calls to wait")
        return call

    calls = [await come(key, then=n) for n, key in enumerate([acme_key] * 4 + [globex_key] * 2, start=1)]
    name = keys.pause(acme.connection_id)
    await store.command("DEL", name, key=name)
    waiting.freed([name])
    assert {each.status for each in await asyncio.gather(*calls)} == {200}
    served = [each.tenant_id for each in gateway.upstream.calls]
    assert served == ["globex"] * 2 + ["acme"] * 4
