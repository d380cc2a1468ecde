"""The hidden limit of a business unit: its rate, its cap, its queue, and its refusals."""

from __future__ import annotations

import asyncio

import pytest

from quota_platform.sandbox import ControlError, Running
from quota_platform.sandbox.fields import Fields
from tests.quota_platform.sandbox.conftest import Caller, Clock


async def statuses(caller: Caller, count: int, action: str = "lookupOrder") -> list[int]:
    return [(await caller.invoke(action)).status for _ in range(count)]


async def test_a_burst_passes_and_then_the_rate(signed_in: Caller, clock: Clock) -> None:
    await signed_in.control("PUT", "limiter", {"per_minute": 60, "burst": 3})
    assert await statuses(signed_in, 5) == [200, 200, 200, 429, 429]
    clock.now += 0.99
    assert await statuses(signed_in, 1) == [429]
    clock.now += 0.01
    assert await statuses(signed_in, 2) == [200, 429]


async def test_a_sliding_window_frees_units_as_they_were_taken(signed_in: Caller, clock: Clock) -> None:
    limit = {"per_minute": 60, "window": "sliding", "window_seconds": 3, "flavour": "retry_after"}
    await signed_in.control("PUT", "limiter", limit)
    assert await statuses(signed_in, 2) == [200, 200]
    clock.now += 1
    assert await statuses(signed_in, 2) == [200, 429]
    clock.now += 2
    assert await statuses(signed_in, 3) == [200, 200, 429]
    assert (await signed_in.invoke()).headers["Retry-After"] == "1"


async def test_a_fixed_window_starts_again_with_the_clock(signed_in: Caller, clock: Clock) -> None:
    clock.now = 1_000_002.0
    await signed_in.control("PUT", "limiter", {"per_minute": 60, "window": "fixed", "window_seconds": 3})
    assert await statuses(signed_in, 4) == [200, 200, 200, 429]
    clock.now = 1_000_004.9
    assert await statuses(signed_in, 1) == [429]
    clock.now = 1_000_005.0
    assert await statuses(signed_in, 4) == [200, 200, 200, 429]


async def test_all_clients_of_a_unit_share_its_limit_and_other_units_do_not(signed_in: Caller) -> None:
    for name, unit in (("second", 4_600_001), ("elsewhere", 4_600_002)):
        await signed_in.control("POST", "clients", {"client_id": name, "client_secret": "s", "unit": unit})
    await signed_in.control("PUT", "limiter", {"per_minute": 1, "burst": 1})
    assert await statuses(signed_in, 1) == [200]
    await signed_in.sign_in(client_id="second", client_secret="s")
    assert await statuses(signed_in, 1) == [429]
    await signed_in.sign_in(client_id="elsewhere", client_secret="s")
    assert await statuses(signed_in, 1) == [200]


async def test_a_unit_can_have_a_limit_of_its_own_and_lose_it(signed_in: Caller) -> None:
    await signed_in.control("PUT", "limiter", {"unit": 4_600_001, "per_minute": 1, "burst": 1})
    assert await statuses(signed_in, 2) == [200, 429]
    await signed_in.control("PUT", "limiter", {"unit": 4_600_001, "off": True})
    assert await statuses(signed_in, 2) == [200, 200]


async def test_a_refused_call_does_not_run_and_gets_no_wait_by_default(signed_in: Caller, sandbox: Running) -> None:
    await signed_in.control("PUT", "limiter", {"per_minute": 1, "burst": 1})
    await signed_in.invoke()
    reply = await signed_in.invoke()
    assert (reply.status, reply.raw, "Retry-After" in reply.headers) == (429, b"", False)
    counters = sandbox.state.counters
    assert (counters.called["lookupOrder"], counters.ran["lookupOrder"]) == (2, 1)
    assert counters.refused_by_unit_limit == 1


@pytest.mark.parametrize(
    ("flavour", "status", "wait"),
    [("retry_after", 429, "30"), ("genesys", 429, "30"), ("busy", 503, None), ("x_ratelimit", 429, None)],
)
async def test_refusals_of_other_flavours_contain_more(
    signed_in: Caller, clock: Clock, flavour: str, status: int, wait: str | None
) -> None:
    await signed_in.control("PUT", "limiter", {"per_minute": 2, "burst": 1, "flavour": flavour})
    await signed_in.invoke()
    reply = await signed_in.invoke()
    assert (reply.status, reply.headers.get("Retry-After")) == (status, wait)
    clock.now += 30
    assert (await signed_in.invoke()).status == 200


async def test_a_cap_counts_the_calls_in_flight(signed_in: Caller, sandbox: Running) -> None:
    await signed_in.control("PUT", "limiter", {"concurrency": 2})
    await signed_in.control("PUT", "latency", {"profile": "stall"})
    held = [asyncio.create_task(signed_in.invoke()) for _ in range(2)]
    await sandbox.state.log.reached(3)
    assert await statuses(signed_in, 1) == [429]
    await signed_in.control("PUT", "latency", {"profile": "instant"})
    await signed_in.control("POST", "release")
    assert [reply.status for reply in await asyncio.gather(*held)] == [200, 200]
    assert await statuses(signed_in, 3) == [200, 200, 200]


async def test_a_caller_who_leaves_gives_its_place_back(signed_in: Caller, sandbox: Running) -> None:
    await signed_in.control("PUT", "limiter", {"concurrency": 1})
    await signed_in.control("POST", "faults", {"fault": "stall", "count": 1})
    held = asyncio.create_task(signed_in.invoke())
    await sandbox.state.log.reached(2)
    held.cancel()
    await sandbox.state.log.ended(2)
    assert await statuses(signed_in, 1) == [200]


async def test_with_a_queue_calls_over_the_cap_wait_for_their_turn(signed_in: Caller, sandbox: Running) -> None:
    await signed_in.control("PUT", "limiter", {"concurrency": 1, "queue": True})
    await signed_in.control("PUT", "latency", {"profile": "stall"})
    first, second, third = [asyncio.create_task(signed_in.invoke()) for _ in range(3)]
    await sandbox.state.log.reached(4)
    second.cancel()
    await sandbox.state.log.ended(3)
    await signed_in.control("PUT", "latency", {"profile": "instant"})
    await signed_in.control("POST", "release")
    assert (await first).status == 200
    await signed_in.control("POST", "release")
    assert (await third).status == 200
    assert await statuses(signed_in, 1) == [200]


async def test_the_digital_preset_counts_per_contact(signed_in: Caller, clock: Clock) -> None:
    await signed_in.control("PUT", "limiter", {"preset": "digital", "burst": 2})
    assert await statuses(signed_in, 3, "one") == [200, 200, 429]
    assert await statuses(signed_in, 1, "two") == [200]
    clock.now += 60 / 17 + 0.001
    assert await statuses(signed_in, 2, "one") == [200, 429]


async def test_data_extraction_takes_one_call_in_thirty_seconds(signed_in: Caller, clock: Clock) -> None:
    await signed_in.control("PUT", "limiter", {"preset": "data_extraction"})
    assert await statuses(signed_in, 2) == [200, 429]
    clock.now += 30
    assert await statuses(signed_in, 2) == [200, 429]


async def test_reading_records_is_not_limited(signed_in: Caller) -> None:
    await signed_in.control("PUT", "limiter", {"per_minute": 1, "burst": 1})
    for _ in range(3):
        assert (await signed_in.send("GET", "/inContactAPI/services/v30.0/server-time")).status == 200


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "per_minute"),
        ({"per_minute": 0}, "per_minute"),
        ({"concurrency": 0}, "concurrency"),
        ({"preset": "no"}, "preset"),
        ({"per_minute": 1, "flavour": "sour"}, "flavour"),
        ({"per_minute": 1, "unit": 5}, "unit"),
        ({"per_minute": 1, "window": "round"}, "window"),
        ({"per_minute": 1, "per_second": 1}, "per_second"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_by_its_field(
    sandbox: Running, values: dict[str, object], field: str
) -> None:
    with pytest.raises(ControlError) as caught:
        sandbox.state.unit_limits.put(Fields(values))
    assert caught.value.field == field
    assert not sandbox.state.unit_limits
