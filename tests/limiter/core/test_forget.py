"""Forgetting what one limit has counted: of that limit and subject only, and never the slots of running calls."""

from __future__ import annotations

import pytest

from limiter.core.store import Store
from limiter.core.types import Limit
from tests.limiter.core.given import S, bucket, call, counter, log, slots, stack


@pytest.mark.parametrize("limit", [log(5), counter(5), bucket(5, burst=5)], ids=["log", "counter", "bucket"])
async def test_it_counts_from_nothing_again(store: Store, limit: Limit) -> None:
    limits = stack(limit)
    for _ in range(5):
        await call(store, limits, 0)
    assert not (await call(store, limits, 0)).allowed
    await store.forget(limits, limits.limits[0])
    again = await call(store, limits, 0)
    assert again.allowed and again.states[0].used == 1


async def test_slots_of_running_calls_are_not_forgotten(store: Store) -> None:
    limits = stack(slots(1))
    await call(store, limits, 0)
    with pytest.raises(ValueError, match="Slots come back"):
        await store.forget(limits, limits.limits[0])
    assert not (await call(store, limits, S)).allowed
