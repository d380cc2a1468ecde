"""All accounts of a shared limit at once: as looks at each of them find it."""

from __future__ import annotations

import heapq
from dataclasses import replace

import pytest

from limiter.core import accounts
from limiter.core.accounts import Account
from limiter.core.store import Store
from limiter.core.types import CountedPer, Limit, ServiceClass, Share
from tests.limiter.core.contending import Contention, paced
from tests.limiter.core.given import S, log, slots

LOG = log(100, window_us=10 * S, counted_per=CountedPer.CONNECTION)
SLOTS = slots(10, lease_us=60 * S, counted_per=CountedPer.CONNECTION)
SHARES = {
    "greedy": Share(),
    "meek": Share(weight=3, floor=2),
    "bulk": Share(ceiling=4, service_class=ServiceClass.BULK),
}


@pytest.mark.parametrize("limit", [LOG, SLOTS], ids=lambda limit: limit.algorithm)
async def test_the_accounts_of_a_pool_agree_with_looks_at_each(store: Store, redis_url: str, limit: Limit) -> None:
    flows = [paced(name, per_s=rate, until_s=5) for name, rate in {"greedy": 50, "meek": 2, "bulk": 2}.items()]
    with Contention(redis_url, limit, SHARES) as contention:
        list(contention.ask(heapq.merge(*flows)))
        looks = {name: contention.look(name, 5 * S).shares[0] for name in SHARES}
        stack = contention.stack("meek")
    found = {each.terms.tenant: each for each in await accounts.read(store, stack.limits[0], stack.subject)}
    weights = accounts.weights(found.values())
    for name, look in looks.items():
        account = found[name]
        assert (account.share, account.used, account.kept) == (look.share, look.used, look.kept)
        assert accounts.even(account.terms, weights, effective=limit.quota) == look.even
    assert found["meek"].terms == accounts.Terms(2, 3, 2, 0, "meek")


async def test_a_pool_of_a_thousand_accounts_is_read_in_parts(store: Store, redis_url: str) -> None:
    with Contention(redis_url, replace(LOG, quota=10_000)) as contention:
        list(contention.ask((number, f"t{number:04}", 1) for number in range(1_200)))
        stack = contention.stack("t0000")
    found = await accounts.read(store, stack.limits[0], stack.subject)
    assert {each.terms.tenant for each in found} == {f"t{number:04}" for number in range(1_200)}
    assert {each.used for each in found} == {1}


def test_the_even_part_of_an_account_is_within_its_floor_and_its_ceiling() -> None:
    every = [Account(accounts.Terms(rank, 1, 0, 0, f"t{rank}"), 0, 0) for rank in (1, 2, 2, 3)]
    weights = accounts.weights(every)
    assert [accounts.even(each.terms, weights, effective=60) for each in every] == [60, 20, 20, 15]
    assert accounts.even(accounts.Terms(3, 1, 30, 0, "floor"), weights, effective=60) == 30
    assert accounts.even(accounts.Terms(2, 1, 0, 5, "ceiling"), weights, effective=60) == 5


def test_parts_of_a_limit_that_moves_are_shown_in_its_units() -> None:
    terms = accounts.Terms(2, 1, 2500, 5000, "t", in_parts=True)
    assert terms.in_units(10) == accounts.Terms(2, 1, 2, 5, "t")
    assert terms.in_units(1).ceiling == 1
    weights = accounts.weights([Account(terms, 0, 0)] * 5)
    assert accounts.even(terms, weights, effective=20) == 5
