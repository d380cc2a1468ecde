"""Marks and sums in the store, by which a page finds the tenants to look at among very many."""

from __future__ import annotations

from limiter.core import keys
from limiter.demand import marks, sums
from limiter.demand.points import Calls
from tests.limiter.core.given import store_at
from tests.limiter.demand.given import SECOND, a_worker, called


async def test_the_store_holds_who_called_who_was_refused_and_who_was_near(redis_url: str) -> None:
    store = store_at(redis_url)
    await called(store, "acme").send()
    await called(store, "globex", used=90, second=SECOND + 1).send()
    await called(store, "hooli", allowed=False, used=100, second=SECOND + 2).send()
    found = await marks.read(store, 1, since=SECOND, now=SECOND, most=10)
    assert found.called == {"acme": SECOND, "globex": SECOND + 1, "hooli": SECOND + 2}
    assert found.near == {"globex": SECOND + 1, "hooli": SECOND + 2}
    assert found.refused == {"hooli": SECOND + 2}
    assert await marks.count_refused(store, 1, since=SECOND + 3) == 0
    await store.close()


async def test_the_newest_are_read_and_those_that_are_asked_for(redis_url: str) -> None:
    store = store_at(redis_url)
    for number in range(5):
        await called(store, f"t{number}", second=SECOND + number).send()
    found = await marks.read(store, 1, since=SECOND, now=SECOND, most=2, also=["t0", "nobody"])
    assert found.called == {"t4": SECOND + 4, "t3": SECOND + 3, "t0": SECOND}
    await store.close()


async def test_marks_are_kept_for_as_long_as_pages_look_back(redis_url: str) -> None:
    store = store_at(redis_url)
    await called(store, "acme", allowed=False).send()
    await called(store, "globex", allowed=False, second=SECOND + marks.REFUSED_KEPT_S + 1).send()
    assert await store.command("ZRANGE", keys.refused(1), 0, -1, key=keys.refused(1)) == [b"globex"]
    assert 0 < await store.command("TTL", keys.called(1), key=keys.called(1)) <= marks.CALLED_KEPT_S
    await store.close()


async def test_the_calls_of_all_tenants_are_summed_by_the_second_each_once(redis_url: str) -> None:
    store = store_at(redis_url)
    for worker in (
        a_worker(store, 3),
        called(store, "globex", "hooli", allowed=False),
        called(store, "acme", second=SECOND + 1),
    ):
        await worker.send()
        await worker.send()
    found = await sums.read(store, 1, [SECOND // 60, SECOND // 60 + 1])
    assert found == {SECOND: Calls(allowed=3, refused=2), SECOND + 1: Calls(allowed=1)}
    assert (
        0
        < await store.command("TTL", keys.demand_sums(1, SECOND // 60), key=keys.demand_sums(1, SECOND // 60))
        <= sums.KEPT_S
    )
    await store.close()


async def test_those_whose_limits_are_cut_now_are_read_too(redis_url: str) -> None:
    store, now_us = store_at(redis_url), SECOND * 1_000_000
    cuts = (now_us + 90_000_000, "acme|", now_us - 1, "globex|lookupOrder")
    await store.command("ZADD", keys.cut(1), *cuts, key=keys.cut(1))
    found = await marks.read(store, 1, since=SECOND, now=SECOND, most=10)
    assert found.cut == {"acme": SECOND + 90}
    await store.close()
