"""No call is answered with bytes of another one, whatever an upstream sends: thousands of marked calls."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Iterator

import pytest
from yarl import URL

from limiter.upstream.conduct import KeepAlive, origin_of
from limiter.upstream.errors import UpstreamError
from limiter.upstream.exchange import Exchange, Patience, UpstreamRequest
from tests.limiter.upstream.hostile import STRAY, hostile
from tests.limiter.upstream.test_exchange import Anywhere, read
from tests.patience import HANG_S

CALLS = 900
ENOUGH = CALLS / 10
AT_ONCE = 24
TENANTS = [f"tenant-{number}" for number in range(6)]


async def calls(exchange: Exchange, url: URL, *, seed: int) -> tuple[int, list[tuple[str, bytes, bytes]]]:
    """Make the calls, some of which their callers leave: how many; of each that was answered tenant, own body, answer.

    A slow machine makes more of them, for an upstream that never answers is left after a tenth of a second.
    """
    rng = random.Random(seed)
    answered: list[tuple[str, bytes, bytes]] = []
    made = 0

    def numbered() -> Iterator[int]:
        nonlocal made
        while made < CALLS or (len(answered) <= ENOUGH and made < 100 * CALLS):
            yield made
            made += 1

    numbers = numbered()

    async def caller() -> None:
        for number in numbers:
            tenant = rng.choice(TENANTS)
            own = f"<{tenant} call {number}>".encode()
            call = UpstreamRequest(
                tenant, origin_of(url), "POST", url, {}, own, Patience(total=0.1, connect=HANG_S), 1_000_000
            )
            try:
                response = await exchange.send(call)
                if rng.random() < 0.05:
                    await _leave(response.chunks)
                    continue
                answered.append((tenant, own, await read(response)))
            except UpstreamError:
                pass

    await asyncio.gather(*[caller() for _ in range(AT_ONCE)])
    return made, answered


async def _leave(chunks: object) -> None:
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_no_call_is_answered_with_bytes_of_another_call(seed: int) -> None:
    async with hostile(seed) as (upstream, url):
        exchange = Exchange(pinned=Anywhere(), pool_size=200)
        _, answered = await calls(exchange, url, seed=seed)
        await exchange.close()

    for _, own, got in answered:
        assert got.replace(own, b"") == b"" or own.startswith(got)
    assert len(answered) > ENOUGH and upstream.done["stray"] > 20
    assert exchange.conduct(origin_of(url)).unsolicited > 20


@pytest.mark.parametrize("seed", [4, 5, 6])
async def test_no_tenant_is_answered_with_bytes_of_another_even_over_connections_kept_against_all_rules(
    seed: int,
) -> None:
    kept = KeepAlive(proven_after=0, without_s=0)
    async with hostile(seed, strays=0.5) as (upstream, url):
        exchange = Exchange(pinned=Anywhere(), pool_size=200, keep_alive=kept)
        made, answered = await calls(exchange, url, seed=seed)
        await exchange.close()

    seen = Counter(got.startswith(STRAY) for _, _, got in answered)
    for tenant, _, got in answered:
        assert set(re.findall(rb"tenant-\d", got)) <= {tenant.encode()}
    assert upstream.connections < made - 10, "connections were used again"
    assert seen[True] > 0, "strays were taken for answers, so that the rule was put to the test"
