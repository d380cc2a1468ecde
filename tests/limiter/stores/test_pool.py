"""The connections of one server: how they sign in, how many there are, and what the pool says of itself."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import redis

from limiter.core import keys
from limiter.core.store import Store
from limiter.stores.errors import StoreUnavailable
from limiter.stores.pool import PoolSettings, PoolStatus
from quota_platform.embedded import Valkey, free_port, start_valkey
from tests.limiter.core.given import ACME, PATIENT, call, log, stack, store_at

LIMIT = log(100_000)
BOUND = stack(LIMIT)
KEY = keys.window(LIMIT, ACME)


async def decide_once(url: str) -> None:
    store = store_at(url)
    assert (await call(store, BOUND, 0)).allowed
    await store.close()


def clients(raw: redis.Redis) -> int:
    """The store's clients but for the one that looks."""
    return len(cast(list[object], raw.client_list())) - 1


async def test_the_url_s_database_is_used(valkey: Valkey, inside: redis.Redis) -> None:
    await decide_once(valkey.url.removesuffix("/0") + "/3")
    with redis.Redis(port=valkey.port, db=3) as third:
        assert (third.exists(KEY), inside.exists(KEY)) == (1, 0)


async def test_the_url_s_password_signs_in(valkey: Valkey, inside: redis.Redis) -> None:
    inside.config_set("requirepass", "pa$s/word")
    await decide_once(f"redis://:pa%24s%2Fword@127.0.0.1:{valkey.port}/3")


async def test_the_url_s_user_signs_in(valkey: Valkey, inside: redis.Redis) -> None:
    inside.acl_setuser("limiter", enabled=True, passwords=["+canary"], keys=["q:*"], categories=["+@all"])
    inside.acl_setuser("default", enabled=False)
    await decide_once(f"redis://limiter:canary@127.0.0.1:{valkey.port}/0")


@pytest.mark.parametrize("signs_in", ["", ":canary-wrong@", "nobody:canary-wrong@"])
async def test_a_store_that_does_not_let_us_in_is_unavailable(
    valkey: Valkey, inside: redis.Redis, signs_in: str
) -> None:
    inside.config_set("requirepass", "canary-right")
    store = store_at(f"redis://{signs_in}127.0.0.1:{valkey.port}/0")
    with pytest.raises(StoreUnavailable) as raised:
        await call(store, BOUND, 0)
    assert "canary" not in str(raised.value)
    assert not store.status().available
    await store.close()


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """Short enough for a socket's name wherever the tests run."""
    with tempfile.TemporaryDirectory(prefix="q-") as directory:
        yield Path(directory) / "v.sock"


async def test_a_unix_socket_is_used(tmp_path: Path, socket_path: Path) -> None:
    server = start_valkey(directory=tmp_path, extra=("--unixsocket", str(socket_path)))
    try:
        await decide_once(f"unix://{socket_path}?db=2")
        with redis.Redis(port=server.port, db=2) as second:
            assert second.exists(KEY) == 1
    finally:
        server.kill()


async def test_a_store_that_is_not_there_is_unavailable_from_the_start() -> None:
    store = store_at(f"redis://127.0.0.1:{free_port()}/0")
    await store.open()
    status = store.status()
    assert (status.available, status.open, status.failures) == (False, 0, 1)
    with pytest.raises(StoreUnavailable, match="not asked yet"):
        await call(store, BOUND, 0)
    await store.close()


async def test_the_first_crowd_shares_one_connection(valkey: Valkey, inside: redis.Redis) -> None:
    store = store_at(valkey.url)
    await asyncio.gather(*(call(store, BOUND, 0) for _ in range(100)))
    assert (store.status().open, clients(inside)) == (1, 1)
    await store.close()


async def test_crowds_open_connections_up_to_the_pool_s_size_and_no_more(valkey: Valkey, inside: redis.Redis) -> None:
    store = store_at(valkey.url, PoolSettings(size=3, timeout_ms=20_000, connect_timeout_ms=20_000, max_in_flight=2000))
    while store.status().open < 3:
        await asyncio.gather(*(call(store, BOUND, 0) for _ in range(1000)))
    await asyncio.gather(*(call(store, BOUND, 0) for _ in range(2000)))
    assert (store.status().open, clients(inside)) == (3, 3)
    await store.close()


async def test_the_pool_says_how_it_is(store: Store) -> None:
    assert store.status() == PoolStatus(open=1, size=PATIENT.size, in_flight=0, failures=0, available=True)
    asked = asyncio.create_task(call(store, BOUND, 0))
    await asyncio.sleep(0)  # the command is queued
    assert store.status().in_flight == 1
    await asked
    assert store.status().in_flight == 0


async def test_a_closed_pool_leaves_no_client_behind(valkey: Valkey, inside: redis.Redis) -> None:
    store = store_at(valkey.url)
    await call(store, BOUND, 0)
    await store.close()
    while clients(inside):
        await asyncio.sleep(0)


async def test_round_trips_are_counted_by_how_long_they_took(store: Store) -> None:
    for number in range(5):
        await call(store, BOUND, number)
    assert sum(store.round_trips.counts) == 5
    assert store.round_trips.total_s > 0


def test_a_round_trip_falls_into_the_first_bound_it_is_within() -> None:
    trips = Store(link=None).round_trips  # type: ignore[arg-type]
    for seconds in (0.0, 0.0005, 0.0006, 0.25, 0.26):
        trips.observe(seconds)
    assert trips.counts == [2, 1, 0, 0, 0, 0, 0, 0, 1, 1]
