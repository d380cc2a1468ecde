"""A worker's counts on their way to the store: each call once, whatever happens to the store meanwhile."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from limiter.core import keys
from limiter.core.store import Store
from limiter.demand import recorder as recorders
from limiter.demand import undrained
from limiter.demand.points import Calls, Level
from limiter.demand.recorder import DemandRecorder
from limiter.stores.pipeline import Address
from limiter.stores.pool import PoolSettings, StorePool
from tests.chaos import ChaosProxy
from tests.limiter.core.given import S, store_at
from tests.limiter.demand.given import LOOK_UP, SECOND, a_stack, a_worker, decided


async def stored(store: Store, *, second: int = SECOND) -> Calls:
    found = await undrained.read(store, 1, ["acme"], [second])
    return found["acme"].calls[LOOK_UP][second] if found else Calls()


async def sent(worker: DemandRecorder) -> None:
    while worker.waiting:
        await worker.send()


async def test_two_workers_counts_add_up_by_tenant_action_key_and_second(redis_url: str) -> None:
    store = store_at(redis_url)
    for allowed, calls in ((True, 3), (False, 2)):
        await a_worker(store, calls, allowed=allowed).send()
    found = (await undrained.read(store, 1, ["acme", "globex"], range(SECOND - 1, SECOND + 2)))["acme"]
    assert found.calls == {LOOK_UP: {SECOND: Calls(allowed=3, refused=2, units=3, refused_units=2)}}
    assert found.limits == {("lookupOrder", "minute"): {SECOND: Level(used=3, effective=100, quota=100, refused=2)}}
    assert await undrained.minutes(store, 1) == [SECOND // 60]
    await store.close()


async def test_a_call_that_waited_is_counted_when_it_came_and_when_it_was_decided(redis_url: str) -> None:
    store, stack = store_at(redis_url), a_stack()
    worker = DemandRecorder(store)
    worker.note(stack, LOOK_UP[1], decided(stack, second=SECOND + 2), came_us=SECOND * S)
    await worker.send()
    assert await stored(store) == Calls(waits=1)
    assert await stored(store, second=SECOND + 2) == Calls(allowed=1, waited=1, units=1)
    await store.close()


async def test_what_the_store_may_have_taken_in_is_sent_again_and_counted_once(redis_url: str) -> None:
    async with ChaosProxy.before(urlsplit(redis_url).port or 6379) as proxy:
        store = Store(StorePool(Address.from_url(proxy.url), PoolSettings(probe_ms=0, timeout_ms=300)))
        await store.open()
        await sent(a_worker(store, second=SECOND + 60))  # the store has the script now
        worker, direct = a_worker(store), store_at(redis_url)
        proxy.swallow_replies()
        await worker.send()
        assert worker.waiting and (await stored(direct)).allowed == 3  # taken in, and the worker does not know
        proxy.behave()
        await sent(worker)
        assert (await stored(direct)).allowed == 3
        await store.close()
        await direct.close()


async def test_refusals_kept_during_an_outage_are_bounded_and_the_rest_is_counted_as_lost(redis_url: str) -> None:
    store, stack = store_at(redis_url), a_stack()
    worker = DemandRecorder(store, most=2)
    for second in range(3):
        worker.note(stack, LOOK_UP[1], decided(stack, second=SECOND + second))
    assert worker.lost == 1
    await worker.send()
    assert [(await stored(store, second=SECOND + second)).allowed for second in range(3)] == [1, 1, 0]
    await store.close()


async def test_demand_that_nobody_stores_does_not_fill_the_store(redis_url: str) -> None:
    store = store_at(redis_url)
    await a_worker(store).send()
    name = keys.demand_of(1, SECOND // 60)
    assert 0 < await store.command("TTL", name, key=name) <= recorders.WAITS_S
    await store.close()


@pytest.mark.parametrize(
    "line", ['{"v": 9, "calls": [["lookupOrder", "ab12cd34", 1, 0, 0, 0, 0, 0, 1, 0, 77]]}', "{broken"]
)
async def test_lines_of_another_release_are_read_as_far_as_they_are_known(redis_url: str, line: str) -> None:
    store = store_at(redis_url)
    await a_worker(store).send()
    name = keys.demand_of(1, SECOND // 60)
    field = f"{SECOND}|acme"
    written = (await store.command("HGET", name, field, key=name)).decode()
    await store.command("HSET", name, field, f"{written}\n{line}", key=name)
    assert (await stored(store)).allowed == (4 if "77" in line else 3)
    await store.close()
