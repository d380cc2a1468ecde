"""A store that cannot be heard: every wait is bounded, nothing is counted twice, and it is used again by itself."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import cast

import pytest
import redis

from limiter.stores.errors import StoreOutcomeUnknown, StoreUnavailable
from limiter.stores.pool import PoolSettings
from quota_platform.embedded import Valkey, start_valkey
from tests.chaos import ChaosProxy
from tests.limiter.core.ailing import BOUND, HASTY, RESIGNED, STEADY, counted, opened, recovered, times_run
from tests.limiter.core.given import call, store_at
from tests.patience import eventually


async def test_a_lost_reply_is_an_unknown_outcome_counted_once_and_never_sent_again(
    proxy: ChaosProxy, inside: redis.Redis
) -> None:
    async with opened(proxy.url, HASTY) as store:
        inside.config_resetstat()
        proxy.swallow_replies()
        with pytest.raises(StoreOutcomeUnknown):
            await call(store, BOUND, 0)
        assert (counted(inside), times_run(inside, "evalsha")) == (1, 1)
        proxy.behave()
        assert (await recovered(store)).states[0].used == 2
        assert times_run(inside, "evalsha") == 2


async def test_a_connection_reset_after_the_commit_is_an_unknown_outcome(
    proxy: ChaosProxy, inside: redis.Redis
) -> None:
    async with opened(proxy.url, STEADY) as store:
        proxy.reset_instead_of_replying()
        with pytest.raises(StoreOutcomeUnknown):
            await call(store, BOUND, 0)
        assert counted(inside) == 1
        proxy.behave()
        assert (await recovered(store)).states[0].used == 2


async def test_all_calls_in_flight_learn_that_their_reply_is_lost(proxy: ChaosProxy, inside: redis.Redis) -> None:
    async with opened(proxy.url, HASTY) as store:
        proxy.swallow_replies()
        responses = await asyncio.gather(*(call(store, BOUND, 0) for _ in range(50)), return_exceptions=True)
        assert {type(response) for response in responses} == {StoreOutcomeUnknown}
        assert counted(inside) == 50


async def test_late_replies_are_waited_for_and_not_mixed_up(proxy: ChaosProxy) -> None:
    async with opened(proxy.url, STEADY) as store:
        proxy.delay_replies(0.05)
        decisions = await asyncio.gather(*(call(store, BOUND, at, lease=str(at)) for at in range(20)))
        assert [decision.states[0].used for decision in decisions] == list(range(1, 21))


async def test_a_store_that_stands_still_costs_one_bounded_wait_and_then_none(valkey: Valkey) -> None:
    async with opened(valkey.url, RESIGNED) as store:
        os.kill(valkey.process.pid, signal.SIGSTOP)
        with pytest.raises(StoreOutcomeUnknown):
            await call(store, BOUND, 0)
        assert not store.status().available
        for _ in range(1000):
            with pytest.raises(StoreUnavailable, match="not asked yet"):
                await call(store, BOUND, 0)
        assert store.status().in_flight == 0, "nothing was even sent"


async def test_a_store_that_stood_still_is_used_again_by_itself(valkey: Valkey, inside: redis.Redis) -> None:
    async with opened(valkey.url, HASTY) as store:
        os.kill(valkey.process.pid, signal.SIGSTOP)
        with pytest.raises(StoreOutcomeUnknown):
            await call(store, BOUND, 0)
        os.kill(valkey.process.pid, signal.SIGCONT)
        await recovered(store)
        assert store.status().available
        assert counted(inside) == 2, "the call of unknown outcome was counted when the store woke up"


async def test_a_connection_that_was_too_slow_to_sign_in_is_not_left_open(valkey: Valkey, inside: redis.Redis) -> None:
    os.kill(valkey.process.pid, signal.SIGSTOP)
    store = store_at(valkey.url, PoolSettings(connect_timeout_ms=50, timeout_ms=600_000, probe_ms=1))
    await store.open()
    assert not store.status().available
    os.kill(valkey.process.pid, signal.SIGCONT)

    async def alone() -> bool:
        return len(cast(list[object], inside.client_list())) == 1

    await eventually(alone, what="the store to have no client but this test's")
    await store.close()


async def test_one_call_at_a_time_asks_whether_the_store_is_back(valkey: Valkey, proxy: ChaosProxy) -> None:
    async with opened(proxy.url, STEADY) as store:
        await proxy.refuse()

        async def probes() -> int:
            crowd = await asyncio.gather(*(call(store, BOUND, 0) for _ in range(20)), return_exceptions=True)
            return sum("not asked yet" not in str(error) for error in crowd)

        with pytest.raises(StoreUnavailable):
            await call(store, BOUND, 0)
        assert await eventually(probes, what="a probe") == 1


async def test_a_store_that_refuses_connections_is_used_again_when_it_listens(proxy: ChaosProxy) -> None:
    async with opened(proxy.url, STEADY) as store:
        await proxy.refuse()
        with pytest.raises(StoreUnavailable):
            await call(store, BOUND, 0)
        await proxy.accept()
        await recovered(store)


async def test_an_idle_connection_that_was_reset_is_replaced_unnoticed(proxy: ChaosProxy) -> None:
    async with opened(proxy.url, STEADY) as store:
        proxy.reset()

        async def noticed() -> bool:
            return store.status().open == 0

        await eventually(noticed, what="the connection to be gone")
        assert (await call(store, BOUND, 0)).allowed
        assert store.status().failures == 0


async def test_a_store_killed_and_restarted_empty_is_used_again(valkey: Valkey, tmp_path: Path) -> None:
    async with opened(valkey.url, STEADY) as store:
        await call(store, BOUND, 0)
        valkey.kill()
        with pytest.raises(StoreUnavailable):
            await call(store, BOUND, 0)
        again = start_valkey(directory=tmp_path, port=valkey.port)
        try:
            assert (await recovered(store)).states[0].used == 1
        finally:
            again.kill()
