"""The multiplier equals the rule over all samples soon after the last call has ended, whichever worker dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import redis

from limiter.core import keys
from limiter.core.adaptive import AdaptiveSettings
from limiter.core.store import EndedCall, Store
from limiter.core.types import PPM, Subject
from limiter.core.window import Stack, bind
from limiter.gateway.assessor import Assessor
from limiter.gateway.learner import Learner
from limiter.gateway.recorder import Recorder
from limiter.stores.errors import StoreError, StoreOutcomeUnknown, StoreUnavailable
from tests.limiter.core.given import ACME, log, store_at
from tests.patience import eventually

RULE = AdaptiveSettings()
FAST, SLOW = 100_000, 1_600_000


def calls_of(subject: Subject = ACME) -> Stack:
    return bind([log(1_000_000)], subject=subject, default_ppm=PPM)


def ends(latency_us: int, number: int) -> list[EndedCall]:
    return [EndedCall("d", "answered", latency_us=latency_us)] * number


@pytest.fixture
async def other(redis_url: str) -> AsyncIterator[Store]:
    """The store as another worker has it."""
    store = store_at(redis_url)
    await store.open()
    yield store
    await store.close()


async def multiplier(store: Store, stack: Stack) -> tuple[int, int]:
    """In millionths, and of how many samples."""
    found = await store.evidence(stack)
    return (found.multiplier_ppm, found.samples) if found else (PPM, 0)


async def test_the_end_of_each_of_a_thousand_bursts_is_assessed(store: Store) -> None:
    assessor = Assessor(store)
    recorder = Recorder(store, assessor, Learner(store))
    stacks = [calls_of(replace(ACME, tenant=f"t{number}")) for number in range(1_000)]
    for latency, number in ((FAST, 5), (SLOW, 7)):
        for stack in stacks:
            for ended in ends(latency, number):
                recorder.record(stack, ended, RULE)
        await recorder.drain()

    async def all_assessed() -> bool:
        return {await multiplier(store, stack) for stack in stacks} == {(500_000, 12)}

    await eventually(all_assessed, what="the multipliers of all bursts")
    assert await store.unassessed(ACME.connection, most=10) == []


async def test_what_a_worker_kept_before_it_died_another_one_assesses(store: Store, other: Store) -> None:
    stack, killed = calls_of(), Assessor(other)
    recorder = Recorder(other, killed, Learner(other))
    for latency, number in ((FAST, 5), (SLOW, 7)):
        for ended in ends(latency, number):
            recorder.record(stack, ended, RULE)
        await recorder.drain()
    for timer in killed._due.values():  # what a killed process does no more
        timer.cancel()
    assert await multiplier(store, stack) == (PPM, 5)
    stop = asyncio.Event()
    living = asyncio.create_task(Assessor(store, look_s=0.01).look(stop))

    async def assessed() -> bool:
        return await multiplier(store, stack) == (500_000, 12)

    await eventually(assessed, what="the other worker")
    stop.set()
    await living


@pytest.mark.parametrize("error", [StoreUnavailable, StoreOutcomeUnknown])
async def test_ends_that_were_not_sent_yet_are_kept_when_noting_their_connection_fails(
    store: Store, monkeypatch: pytest.MonkeyPatch, error: type[StoreError]
) -> None:
    assessor = Assessor(store)
    stack, recorder = calls_of(), Recorder(store, assessor, Learner(store), again_s=0.0)
    failed: list[int] = []
    noting = assessor.noting

    async def fails_once(connection: int) -> None:
        if not failed:
            failed.append(connection)
            raise error("the store did not answer")
        await noting(connection)

    monkeypatch.setattr(assessor, "noting", fails_once)
    for ended in ends(SLOW, 12):
        recorder.record(stack, ended, RULE)

    async def recorded() -> bool:
        await recorder.drain()
        return await multiplier(store, stack) == (500_000, 12)

    await eventually(recorded, what="the ends that were kept")
    assert (failed, recorder.lost) == ([ACME.connection], 0)


async def test_a_computation_that_a_worker_died_in_is_due_again(
    store: Store, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = calls_of()

    async def killed(*_: object, **__: object) -> None:
        """Between the script that hands out the samples and the one that takes the multiplier."""

    await Assessor(store).noting(ACME.connection)
    monkeypatch.setattr(other, "_adapt", killed)
    await other.record(stack, ends(SLOW, 12), settings=RULE)
    assert await multiplier(store, stack) == (PPM, 0)
    living = Assessor(store)

    async def assessed() -> bool:
        await living.look_once()
        return await multiplier(store, stack) == (500_000, 12)

    await eventually(assessed, what="the computation that was given up")


async def test_a_sample_that_comes_during_a_computation_leaves_it_due(
    store: Store, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, adapt = calls_of(), store._adapt

    async def meanwhile(*args: object, **kwargs: object) -> object:
        await other.record(stack, ends(SLOW, 7), settings=RULE)
        return await adapt(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "_adapt", meanwhile)
    await store.record(stack, ends(FAST, 5), settings=RULE)
    assert await multiplier(other, stack) == (PPM, 5)

    async def due() -> bool:
        return [scope.tenant for scope in await other.unassessed(ACME.connection, most=10)] == [ACME.tenant]

    await eventually(due, what="the computation to be due")
    assert await other.assess(stack.multiplier_scope) is not None
    assert await multiplier(other, stack) == (500_000, 12)


async def test_nothing_is_left_behind_once_all_is_assessed(store: Store, raw: redis.Redis) -> None:
    stack = calls_of()
    await store.record(stack, ends(SLOW, 12), settings=RULE)
    c = ACME.connection
    assert not raw.exists(keys.unassessed(c)) and not raw.exists(keys.assessed_by(c))


async def test_of_a_policy_that_does_not_adapt_nothing_is_due(store: Store, raw: redis.Redis) -> None:
    assert (await store.record(calls_of(), ends(SLOW, 12), settings=None)).assess_in_ms is None
    assert not raw.exists(keys.unassessed(ACME.connection))


async def test_settings_of_another_release_are_taken_as_far_as_they_are_known(store: Store, raw: redis.Redis) -> None:
    stack = calls_of()
    await store.record(stack, ends(FAST, 5), settings=RULE)
    await store.record(stack, ends(SLOW, 7), settings=RULE)
    how = '{"latency_threshold_ms": 400, "zone": "b", "v": 7}'
    raw.hset(keys.assessed_by(ACME.connection), stack.multiplier_scope.name, how)

    async def assessed() -> bool:
        return await store.assess(stack.multiplier_scope) is not None

    await eventually(assessed, what="the computation to be due")
    assert await multiplier(store, stack) == (200_000, 12)
