"""Callers that go away while they wait, and more of them than may wait."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import cast

import pytest
import redis

from limiter.core.types import Decision
from limiter.stores.errors import StoreUnavailable
from quota_platform.embedded import Valkey
from tests.chaos import ChaosProxy
from tests.limiter.core.ailing import BOUND, STEADY, counted, opened
from tests.limiter.core.given import call


async def test_cancelled_callers_leave_the_others_replies_in_order(valkey: Valkey, inside: redis.Redis) -> None:
    async with opened(valkey.url, replace(STEADY, size=1)) as store:
        connections = len(cast(list[object], inside.client_list()))
        for start in range(0, 2000, 200):
            crowd = [asyncio.create_task(call(store, BOUND, at, lease=str(at))) for at in range(start, start + 200)]
            await asyncio.sleep(0)  # every task has queued its command
            for task in crowd[::2]:
                task.cancel()
            responses = await asyncio.gather(*crowd, return_exceptions=True)
            assert all(isinstance(response, asyncio.CancelledError) for response in responses[::2])
            kept = [cast(Decision, response) for response in responses[1::2]]
            assert [int(decision.decision_id) for decision in kept] == list(range(start + 1, start + 200, 2))
            assert [decision.states[0].used for decision in kept] == list(range(start + 2, start + 201, 2))
        assert counted(inside) == 2000, "a command that was sent runs, even if nobody waits for it"
        assert len(cast(list[object], inside.client_list())) == connections
        assert store.status().failures == 0


async def test_too_many_calls_in_flight_are_turned_away_and_the_store_stays_in_use(proxy: ChaosProxy) -> None:
    async with opened(proxy.url, replace(STEADY, max_in_flight=10)) as store:
        proxy.hold_replies()
        crowd = [asyncio.create_task(call(store, BOUND, 0)) for _ in range(10)]
        await asyncio.sleep(0)  # every task has queued its command
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="too many"):
                await call(store, BOUND, 0)
        assert (store.status().in_flight, store.status().failures, store.status().available) == (10, 0, True)
        proxy.behave()
        assert sorted(decision.states[0].used for decision in await asyncio.gather(*crowd)) == list(range(1, 11))
        assert (await call(store, BOUND, 0)).allowed
