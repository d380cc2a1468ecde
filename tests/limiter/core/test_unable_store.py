"""A store that answers that it cannot decide, or has lost its scripts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import redis

from limiter.core import keys
from limiter.stores.errors import StoreError, StoreUnavailable
from quota_platform.embedded import Valkey, start_valkey
from tests.chaos import ChaosProxy
from tests.limiter.core.ailing import BOUND, LIMIT, STEADY, counted, opened, recovered, times_run
from tests.limiter.core.given import ACME, call, log, stack


async def test_a_full_store_is_unavailable_and_charges_nothing(valkey: Valkey, inside: redis.Redis) -> None:
    async with opened(valkey.url, STEADY) as store:
        inside.config_set("maxmemory", "1mb")
        with pytest.raises(StoreUnavailable, match="OOM"):
            await call(store, BOUND, 0)
        assert inside.keys() == []
        inside.config_set("maxmemory", "0")
        assert (await recovered(store)).states[0].used == 1


async def test_a_read_only_store_is_unavailable(valkey: Valkey, inside: redis.Redis) -> None:
    async with opened(valkey.url, STEADY) as store:
        inside.replicaof("127.0.0.1", "1")
        with pytest.raises(StoreUnavailable, match="READONLY"):
            await call(store, BOUND, 0)
        inside.replicaof("NO", "ONE")
        assert (await recovered(store)).states[0].used == 1


async def test_a_failover_behind_one_address_is_followed(
    valkey: Valkey, proxy: ChaosProxy, inside: redis.Redis, tmp_path: Path
) -> None:
    promoted = start_valkey(directory=tmp_path / "promoted")
    try:
        async with opened(proxy.url, STEADY) as store:
            proxy.target_port = promoted.port
            inside.replicaof("127.0.0.1", str(promoted.port))
            with pytest.raises(StoreUnavailable, match="READONLY"):
                await call(store, BOUND, 0)
            assert (await recovered(store)).allowed
    finally:
        promoted.kill()


async def test_a_script_that_fails_says_so_and_leaves_the_store_in_use(
    valkey: Valkey, inside: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(valkey.url, STEADY) as store:
        inside.set(keys.window(LIMIT, ACME), "not a list")
        with pytest.raises(StoreError, match="WRONGTYPE"):
            await call(store, BOUND, 0)
        assert "the store refused decide" in caplog.text
        assert store.status().available
        assert (await call(store, stack(log(1, name="other")), 0)).allowed


async def test_a_flushed_script_is_loaded_once_and_its_call_counted_once(valkey: Valkey, inside: redis.Redis) -> None:
    async with opened(valkey.url, STEADY) as store:
        inside.script_flush()
        inside.config_resetstat()
        assert (await call(store, BOUND, 0)).states[0].used == 1
        assert (await call(store, BOUND, 0)).states[0].used == 2
        assert (times_run(inside, "evalsha"), times_run(inside, "eval")) == (2, 1)


async def test_many_calls_that_find_no_script_are_each_counted_once(valkey: Valkey, inside: redis.Redis) -> None:
    async with opened(valkey.url, STEADY) as store:
        inside.script_flush()
        inside.config_resetstat()
        decisions = await asyncio.gather(*(call(store, BOUND, 0) for _ in range(64)))
        assert sorted(decision.states[0].used for decision in decisions) == list(range(1, 65))
        assert counted(inside) == 64
        assert times_run(inside, "evalsha") == 64 and times_run(inside, "eval") <= 64
