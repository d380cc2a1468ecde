"""What the sandbox counts, and that nobody can fill its memory with names."""

from __future__ import annotations

import asyncio
from collections import Counter

from quota_platform.sandbox import Running
from quota_platform.sandbox.counters import KEEP, OTHERS, count
from tests.quota_platform.sandbox.conftest import CLIENT, Caller, Clock


async def test_calls_effects_and_tokens_are_counted(signed_in: Caller) -> None:
    await signed_in.control("POST", "faults", {"fault": "429", "count": 1})
    for _ in range(3):
        await signed_in.invoke()
    await signed_in.sign_in(client_secret="wrong")
    found = await signed_in.control("GET", "counters")
    assert found["by_endpoint"] == {"token": 2, "webaction": 3}
    assert found["by_status"] == {"200": 3, "429": 1, "401": 1}
    assert found["invokes"] == {"lookupOrder": {"called": 3, "ran": 2}}
    assert (found["token_requests"], found["tokens_minted"]) == ({CLIENT: 2}, {CLIENT: 1})
    assert (found["calls"], found["in_flight"]) == (5, 0)


async def test_the_control_api_counts_for_nothing(caller: Caller) -> None:
    await caller.control("GET", "log")
    assert (await caller.control("GET", "counters"))["calls"] == 0


async def test_a_key_that_ran_twice_is_a_duplicate(signed_in: Caller) -> None:
    for key in ("k-1", "k-1", "k-2"):
        await signed_in.invoke(headers={"Idempotency-Key": key, "X-Request-Id": "same"})
    assert (await signed_in.control("GET", "counters"))["duplicates"] == {"k-1": 2}


async def test_the_busiest_second_is_remembered(signed_in: Caller, clock: Clock) -> None:
    for calls in (4, 1):
        clock.now += 1
        for _ in range(calls):
            await signed_in.invoke()
    assert (await signed_in.control("GET", "counters"))["peak_per_second"] == 4


async def test_the_largest_number_of_calls_at_once_is_counted(signed_in: Caller, sandbox: Running) -> None:
    await signed_in.control("PUT", "latency", {"profile": "stall"})
    calls = [asyncio.create_task(signed_in.invoke()) for _ in range(20)]
    await sandbox.state.log.reached(21)
    sandbox.state.let_go()
    await asyncio.gather(*calls)
    found = await signed_in.control("GET", "counters")
    assert (found["max_in_flight"], found["in_flight"]) == (20, 0)


def test_a_table_of_names_is_bounded() -> None:
    table: Counter[str] = Counter()
    for number in range(KEEP + 5):
        count(table, f"name-{number}")
    count(table, "name-1")
    assert len(table) == KEEP + 1
    assert (table[OTHERS], table["name-1"]) == (5, 2)
