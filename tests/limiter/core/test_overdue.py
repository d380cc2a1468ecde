"""Calls in flight for longer than the threshold are samples of their age, until their worker reports them no more."""

from __future__ import annotations

from limiter.core import keys, overdue
from limiter.core.adaptive import AdaptiveSettings, Evidence
from limiter.core.store import EndedCall, Store
from limiter.core.types import PPM
from limiter.core.window import Stack, bind
from tests.limiter.core.given import ACME, T0, S, log

RULE = AdaptiveSettings()
LATER_US = S


def acme() -> Stack:
    return bind([log(1_000_000)], subject=ACME, default_ppm=PPM)


async def now_due(store: Store) -> None:
    """The next ends or ages are assessed at once, however lately others were."""
    name = keys.due(*acme().multiplier_scope)
    await store.command("DEL", name, key=name)


async def five_fast(store: Store) -> None:
    ends = [EndedCall("d", "answered", latency_us=100_000)] * 5
    await store.record(acme(), ends, settings=RULE, now_us=T0)


async def reported(store: Store, ages_us: list[int], *, after_us: int, worker: str = "one") -> Evidence | None:
    await now_due(store)
    at_us = T0 + after_us
    found = await overdue.report(store, acme().multiplier_scope, ages_us, worker=worker, settings=RULE, now_us=at_us)
    return found.evidence


async def test_calls_that_no_response_came_to_cut_by_their_age_before_one_of_them_ends(store: Store) -> None:
    await five_fast(store)
    found = await reported(store, [1_600_000] * 7, after_us=LATER_US)
    assert found is not None
    assert (found.multiplier_ppm, found.samples, found.p95_us) == (500_000, 12, 1_600_000)


async def test_ages_of_all_workers_count_and_grow_between_their_reports(store: Store) -> None:
    await five_fast(store)
    await reported(store, [1_000_000] * 7, after_us=LATER_US)
    found = await reported(store, [900_000], after_us=LATER_US + 600_000, worker="two")
    assert found is not None
    assert (found.samples, found.p95_us) == (13, 1_600_000)


async def test_a_report_without_ages_ends_the_cut(store: Store) -> None:
    await five_fast(store)
    await reported(store, [1_600_000] * 7, after_us=LATER_US)
    found = await reported(store, [], after_us=2 * LATER_US)
    assert found is not None
    assert (found.multiplier_ppm, found.samples) == (PPM, 5)


async def test_ages_of_a_killed_worker_count_for_five_seconds(store: Store) -> None:
    await five_fast(store)
    await reported(store, [1_600_000] * 7, after_us=LATER_US, worker="killed")
    samples = []
    for after_us in (4_900_000, 5_000_000):
        found = await reported(store, [], after_us=LATER_US + after_us)
        samples.append(found.samples if found else 0)
    assert samples == [12, 5]


async def test_ages_of_a_killed_worker_end_though_no_call_ends_after_them(store: Store) -> None:
    await five_fast(store)
    await reported(store, [1_600_000] * 7, after_us=LATER_US, worker="killed")
    assert await store.unassessed(1, most=9, now_us=T0 + LATER_US + 1_000_000) == []

    later_us = T0 + LATER_US + 5_001_000
    assert await store.unassessed(1, most=9, now_us=later_us) == [acme().multiplier_scope]
    await now_due(store)
    overdue_ages = keys.overdue(*acme().multiplier_scope)
    await store.command("DEL", overdue_ages, key=overdue_ages)  # five seconds are over by the store's own clock, too
    found = await store.assess(acme().multiplier_scope, now_us=later_us)
    assert found is not None
    assert (found.multiplier_ppm, found.samples) == (PPM, 5)
    assert await store.unassessed(1, most=9, now_us=later_us + 10 * S) == []


async def test_ends_while_ages_of_a_killed_worker_count_are_assessed_no_later_than_others(store: Store) -> None:
    await reported(store, [1_600_000] * 7, after_us=LATER_US, worker="killed")
    unassessed, due, hour_us, minute_ms = keys.unassessed(1), keys.due(*acme().multiplier_scope), 3_600 * S, 60_000
    ages_count_until_us = T0 + LATER_US + hour_us
    await store.command("ZADD", unassessed, ages_count_until_us, b"acme|", key=unassessed)
    await store.command("SET", due, 1, "PX", minute_ms, key=due)  # computed just now
    ends = [EndedCall("d", "answered", latency_us=100_000)]
    await store.record(acme(), ends, settings=RULE, now_us=T0 + LATER_US)
    assert await store.unassessed(1, most=9, now_us=T0 + LATER_US + 61 * S) == [acme().multiplier_scope]


async def test_of_many_overdue_calls_the_oldest_count(store: Store) -> None:
    found = await reported(store, [*range(800_001, 800_301), 60 * S], after_us=0)
    assert found is not None
    assert found.samples == overdue.MAX_AGES
    assert found.p95_us > 800_290
    name = keys.overdue(*acme().multiplier_scope)
    rows = await store.command("HVALS", name, key=name)
    assert len(rows[0].split(b",")) == overdue.MAX_AGES


async def test_ends_that_are_recorded_meanwhile_are_assessed_with_the_overdue_calls(store: Store) -> None:
    await reported(store, [1_600_000] * 7, after_us=0)
    ends = [EndedCall("d", "answered", latency_us=100_000)] * 5
    await now_due(store)
    found = await store.record(acme(), ends, settings=RULE, now_us=T0 + LATER_US)
    assert found.evidence is not None
    assert (found.evidence.samples, found.evidence.p95_us) == (12, 2_600_000)
