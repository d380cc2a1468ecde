"""The last quarter of an hour in a worker's memory, over a real store: whole with the first look after any pause."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from dashboard.lately import Lately
from limiter.demand.points import Demand
from tests.limiter.core.given import store_at
from tests.limiter.demand.given import SECOND, a_worker


async def nothing(tenant_ids: Collection[str], start: int, end: int) -> dict[str, Demand]:
    return {}


@pytest.mark.parametrize("pause_s", [1, 4, 20, 119, 120, 300])
async def test_what_came_while_nobody_looked_is_there_with_the_next_look(redis_url: str, pause_s: int) -> None:
    store = store_at(redis_url)
    lately = Lately(store, nothing)
    await a_worker(store, calls=2, second=SECOND, allowed=False).send()
    await lately.look(1, ["acme"], now=SECOND)
    for second in (SECOND + 1, SECOND + pause_s):
        await a_worker(store, calls=3, second=second, allowed=False).send()
    await lately.look(1, ["acme"], now=SECOND + pause_s)
    recent = lately.of("acme")
    assert recent is not None
    came = {SECOND: 2, SECOND + 1: 3} | {SECOND + pause_s: 6 if pause_s == 1 else 3}
    assert {second: calls.refused for second, calls in recent.totals.items()} == came
    await store.close()
