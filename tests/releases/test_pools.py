"""Shared limits and a learned pace go on as earlier releases left them."""

from __future__ import annotations

import pytest

from limiter.core import keys
from limiter.core.pacing import learn, pace_or_none
from limiter.core.store import Store
from tests import releases
from tests.limiter.core.given import T0, S
from tests.releases import in_store, pools

WRITERS = pytest.mark.parametrize("release", sorted(path.parent.name for path in releases.HERE.glob("*/pools.json")))


@WRITERS
@pytest.mark.parametrize("name", pools.LIMITS)
async def test_a_shared_limit_goes_on_as_the_release_that_began_it_would(
    store: Store, redis_url: str, release: str, name: str
) -> None:
    begun = releases.sample(release, "pools")[name]
    in_store.put_back(begun["store"], redis_url)
    assert await pools.go_on(store, name) == begun["then"]


@pytest.mark.parametrize("name", pools.LIMITS)
async def test_this_release_goes_on_with_what_it_wrote(store: Store, name: str) -> None:
    await pools.begin(store, name)
    went_on = await pools.go_on(store, name)
    assert went_on["greedy"] == 0 and went_on["meek"] == pools.FLOOR // 2


@WRITERS
async def test_a_learned_pace_is_in_force_at_once_and_learned_on(store: Store, redis_url: str, release: str) -> None:
    left = releases.sample(release, "pools")["pace"]
    in_store.put_back(left["store"], redis_url)
    pace = pace_or_none(await store.command("GET", keys.pace(1), key=keys.pace(1)), [None, None])
    assert pace is not None and pace.per_minute == pytest.approx(left["then"], rel=0.001)
    reported = await learn(store, 1, ran=pools.RAN, held=pools.HELD, pushed_back=0, now_us=T0 + pools.LEARNED_S * S)
    assert reported.per_minute == pytest.approx(left["then"], rel=0.05)
