"""Appointments of earlier releases are kept, and those of this one mislead no earlier release."""

from __future__ import annotations

import pytest
import redis

from limiter.core import keys
from tests import releases
from tests.limiter.core.given import T0, S, store_at
from tests.releases import appointments, in_store


@pytest.mark.parametrize("release", [*appointments.ALL, "this one"])
async def test_a_client_finds_the_unit_that_an_earlier_release_holds_for_it(redis_url: str, release: str) -> None:
    written = await appointments.write(redis_url)
    if release != "this one":
        written = releases.sample(release, "appointments")
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    store = store_at(redis_url)
    await store.open()
    for name, sample in written.items():
        in_store.put_back(sample["store"], redis_url)
        stack, comes_us = appointments.stacks()[name], S + sample["wait_us"]
        due_us = comes_us if "shared" not in name else comes_us + S
        assert not (await appointments.ask(store, stack, 2, due_us)).allowed
        assert (await appointments.ask(store, stack, 1, due_us)).allowed
    await store.close()
    assert written


async def test_the_previous_release_reads_those_of_limits_that_are_not_shared_and_no_others(redis_url: str) -> None:
    written = await appointments.write(redis_url)
    for name, stack in appointments.stacks().items():
        (key,) = (each for each in stack.keys if each == keys.appointments(stack.windows[0]))
        read = appointments.of_0_2_0(bytes.fromhex(written[name]["store"][key]))
        due = T0 + S + written[name]["wait_us"]
        held = appointments.Appointment(f"0{appointments.client(1)}", 1, due, due + 60 * S)
        assert read == ([] if "shared" in name else [held])
