"""Latency profiles: the quantiles they promise, and that calls take them."""

from __future__ import annotations

import asyncio
import math
import random

import numpy as np
import pytest

from quota_platform.sandbox import ControlError, Running
from quota_platform.sandbox.fields import Fields
from quota_platform.sandbox.latency import PROFILES, Latency, Load, LogNormal, Ramp, read
from tests.quota_platform.sandbox.conftest import Caller, Clock


def drawn(latency: Latency, *, count: int = 20_000, elapsed_s: float = 0.0, in_flight: int = 1) -> list[float]:
    rng = random.Random(1)
    return [latency.draw_ms(rng, elapsed_s=elapsed_s, in_flight=in_flight) for _ in range(count)]


@pytest.mark.parametrize(
    ("name", "p50", "p95", "p99"),
    [("fast", 40, 90, 150), ("typical", 120, 400, 1200), ("slow", 800, 2500, 6000), ("token", 150, 500, 1500)],
)
def test_a_profile_meets_its_three_quantiles(name: str, p50: float, p95: float, p99: float) -> None:
    found = np.percentile(drawn(PROFILES[name]), [50, 95, 99])
    assert found == pytest.approx([p50, p95, p99], rel=0.1)
    curve = PROFILES[name]
    assert isinstance(curve, LogNormal)
    assert [curve.at(z) for z in (0, 1.6449, 2.3263)] == pytest.approx([p50, p95, p99])


def test_no_draw_is_longer_than_a_minute() -> None:
    assert LogNormal(800, 2500, 6000).at(50.0) == 60_000


def test_bimodal_is_fast_but_for_one_call_in_twenty() -> None:
    times = drawn(PROFILES["bimodal"])
    assert sum(t == 5000 for t in times) / len(times) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize(
    ("elapsed_s", "times"), [(0, 1), (30, 5.5), (60, 10), (90, 10), (120, 10), (150, 5.5), (180, 1), (9999, 1)]
)
def test_the_ramp_rises_holds_and_goes_back(elapsed_s: float, times: float) -> None:
    ramp = PROFILES["ramp"]
    assert isinstance(ramp, Ramp)
    assert ramp.times(elapsed_s) == pytest.approx(times)


@pytest.mark.parametrize(("in_flight", "factor"), [(0, 1), (50, 2), (90, 10), (100, 100), (5000, 100)])
def test_load_grows_with_the_calls_in_flight(in_flight: int, factor: float) -> None:
    curve = read(Fields({"profile": "load", "base_ms": 10}), now=0).latency
    assert isinstance(curve, Load)
    assert drawn(curve, count=1, in_flight=in_flight) == [pytest.approx(10 * factor)]


def test_longpoll_is_anything_up_to_a_minute() -> None:
    times = drawn(PROFILES["longpoll"], count=1000)
    assert min(times) < 2000 < 58_000 < max(times)


def test_the_same_seed_draws_the_same_latencies() -> None:
    assert drawn(PROFILES["slow"], count=9) == drawn(PROFILES["slow"], count=9)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "profile"),
        ({"profile": "warp"}, "profile"),
        ({"ms": -1}, "ms"),
        ({"ms": "200"}, "ms"),
        ({"ms": math.nan}, "ms"),
        ({"profile": "ramp", "ramp_seconds": 0}, "ramp_seconds"),
        ({"profile": "load", "capacity": 0}, "capacity"),
        ({"profile": "ramp", "base": "warp"}, "base"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_its_field(values: dict[str, object], field: str) -> None:
    with pytest.raises(ControlError) as caught:
        read(Fields(values), now=0)
    assert caught.value.field == field


async def test_a_stalled_call_is_held_until_it_is_let_go(signed_in: Caller, sandbox: Running) -> None:
    await signed_in.control("PUT", "latency", {"profile": "stall"})
    calls = [asyncio.create_task(signed_in.invoke()) for _ in range(3)]
    await sandbox.state.log.reached(4)
    assert sandbox.state.counters.in_flight == 3
    assert not any(call.done() for call in calls)
    await signed_in.control("POST", "release")
    assert [reply.status for reply in await asyncio.gather(*calls)] == [200] * 3
    assert sandbox.state.counters.max_in_flight == 3


async def test_one_action_can_be_slow_alone(signed_in: Caller, sandbox: Running) -> None:
    await signed_in.control("PUT", "latency", {"profile": "stall", "action": "slowOne"})
    held = asyncio.create_task(signed_in.invoke("slowOne"))
    assert (await signed_in.invoke("other")).status == 200
    await sandbox.state.log.reached(3)
    sandbox.state.let_go()
    assert (await held).status == 200


async def test_tokens_have_a_latency_of_their_own(caller: Caller, sandbox: Running) -> None:
    await caller.control("PUT", "latency", {"profile": "stall", "where": "token"})
    asking = asyncio.create_task(caller.sign_in())
    await sandbox.state.log.reached(1)
    sandbox.state.let_go()
    assert (await asking).status == 200
    assert (await caller.invoke()).status == 200


async def test_a_fixed_latency_is_waited(signed_in: Caller, sandbox: Running, clock: Clock) -> None:
    setting = sandbox.state.put_latency({"ms": 1.5})
    assert setting.draw_ms(sandbox.state.rng, now=clock.now, in_flight=1) == 1.5
    assert (await signed_in.invoke()).status == 200


async def test_a_refusal_does_not_take_the_time_of_a_call(signed_in: Caller) -> None:
    await signed_in.control("PUT", "latency", {"profile": "stall"})
    await signed_in.control("POST", "faults", {"fault": "429", "count": 1})
    assert (await signed_in.invoke()).status == 429
