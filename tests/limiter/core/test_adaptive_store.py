"""One multiplier for all workers: computed by one, used in every other's next decision, gone with its samples."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import cast

import pytest
import redis

from limiter.core import keys
from limiter.core.adaptive import AdaptiveSettings, Evidence
from limiter.core.store import EndedCall, Store
from limiter.core.window import Call, Stack, bind
from tests.limiter.core.given import ACME, T0, S, call, log, stack, store_at
from tests.patience import eventually

RULE = AdaptiveSettings()
BOUND = stack(log(100), default_ppm=1_000_000)


@pytest.fixture
async def other(redis_url: str) -> AsyncIterator[Store]:
    """Another worker on the same store."""
    made = store_at(redis_url)
    await made.open()
    yield made
    await made.close()


async def response(
    store: Store,
    raw: redis.Redis,
    *latencies_ms: int,
    bound: Stack = BOUND,
    rule: AdaptiveSettings = RULE,
    at_us: int = 0,
    pushback: bool = False,
) -> Evidence | None:
    """Responses of the upstream, recorded at once when the multiplier is due."""
    raw.delete(keys.due(1, "acme", bound.adapts_per))
    ends = [
        EndedCall(f"d{n}", "answered", latency_us=ms * 1000, pushback=pushback) for n, ms in enumerate(latencies_ms)
    ]
    return (await store.record(bound, ends, settings=rule, every_ms=60_000, now_us=T0 + at_us)).evidence


def changes(raw: redis.Redis) -> list[dict[str, str]]:
    entries = cast(list[tuple[bytes, dict[bytes, bytes]]], raw.xrange(keys.multiplier_changes(1)))
    return [{name.decode(): value.decode() for name, value in fields.items()} for _, fields in entries]


async def test_every_worker_s_next_decision_uses_the_new_multiplier(
    store: Store, other: Store, raw: redis.Redis
) -> None:
    assert (await call(other, BOUND, 0)).multiplier == 1.0
    evidence = await response(store, raw, *[1600] * 5)
    assert evidence is not None and evidence.multiplier_ppm == 500_000
    for worker in (store, other):
        decision = await call(worker, BOUND, 0)
        assert (decision.multiplier, decision.states[0].effective) == (0.5, 50)


async def test_workers_pool_their_samples(store: Store, other: Store, raw: redis.Redis) -> None:
    await response(store, raw, 1600, 1600)
    evidence = await response(other, raw, 1600, 1600, 1600)
    assert evidence is not None and (evidence.samples, evidence.multiplier_ppm) == (5, 500_000)


async def test_only_one_worker_computes_when_it_is_due(store: Store, other: Store) -> None:
    ends = [EndedCall("d", "answered", latency_us=1_600_000)] * 5
    first = (await store.record(BOUND, ends, settings=RULE, every_ms=60_000, now_us=T0)).evidence
    assert first is not None
    for worker in (store, other):
        assert (await worker.record(BOUND, ends, settings=RULE, every_ms=60_000, now_us=T0)).evidence is None


async def test_a_policy_that_does_not_adapt_keeps_no_samples(store: Store, raw: redis.Redis) -> None:
    assert (
        await store.record(BOUND, [EndedCall("d", "answered", latency_us=5)], settings=None, now_us=T0)
    ).evidence is None
    assert not raw.exists(keys.samples(1, "acme", None), keys.due(1, "acme", None))


async def test_an_upstream_that_was_not_heard_is_no_sample(store: Store, raw: redis.Redis) -> None:
    assert (await store.record(BOUND, [EndedCall("d", "unreachable")], settings=RULE, now_us=T0)).evidence is None
    assert not raw.exists(keys.samples(1, "acme", None))


async def test_the_store_keeps_no_more_samples_than_count(store: Store, raw: redis.Redis) -> None:
    for _ in range(3):
        await response(store, raw, *[100] * 60)
    assert raw.llen(keys.samples(1, "acme", None)) == 100


async def test_it_recovers_when_latency_does(store: Store, raw: redis.Redis) -> None:
    await response(store, raw, *[1600] * 5)
    await response(store, raw, *[100] * 94)
    assert (await call(store, BOUND, 0)).multiplier == 1.0
    assert not raw.exists(keys.multiplier(1, "acme", None)), "an uncut tenant costs no key"


async def test_it_recovers_when_the_samples_have_aged(store: Store, raw: redis.Redis) -> None:
    await response(store, raw, *[9000] * 50)
    assert (await call(store, BOUND, 119 * S)).multiplier == 0.2
    evidence = await response(store, raw, 9000, at_us=120 * S)
    assert evidence is not None and evidence.samples == 1
    assert (await call(store, BOUND, 120 * S)).multiplier == 1.0


async def test_a_multiplier_lives_until_too_few_of_its_samples_are_left(store: Store, raw: redis.Redis) -> None:
    await response(store, raw, *[9000] * 46)
    await response(store, raw, *[9000] * 4, at_us=50 * S)
    life_ms = raw.pttl(keys.multiplier(1, "acme", None))
    assert 69_000 < life_ms <= 70_000, "five of its samples are left for another 70 s"


async def test_it_recovers_by_itself_when_traffic_stops(store: Store) -> None:
    brief = replace(RULE, sample_max_age_seconds=1)
    cut = (await store.record(BOUND, [EndedCall("d", "answered", latency_us=9_000_000)] * 5, settings=brief)).evidence
    assert cut is not None and cut.multiplier_ppm == 200_000

    async def recovered() -> bool:
        return (await store.decide(BOUND, Call("d", charge=False))).multiplier == 1.0

    await eventually(recovered, what="the multiplier to end with its samples")


async def test_every_change_is_written_down_with_its_evidence(store: Store, raw: redis.Redis) -> None:
    await response(store, raw, *[1600] * 5)
    await response(store, raw, *[1600] * 5, at_us=1 * S)
    await response(store, raw, *[100] * 95, at_us=2 * S, pushback=True)
    cut, restored = changes(raw)
    assert cut == {
        "at": str(T0),
        "tenant": "acme",
        "action": "",
        "before": "1000000",
        "after": "500000",
        "p95_us": "1600000",
        "samples": "5",
        "threshold_us": "800000",
        "pushback": "0",
    }
    assert (restored["before"], restored["after"], restored["samples"]) == ("500000", "1000000", "100")
    assert (restored["at"], restored["pushback"]) == (str(T0 + 2 * S), "950000")


async def test_one_that_ended_by_itself_is_written_down_at_its_end_and_before_the_next(
    store: Store, raw: redis.Redis
) -> None:
    await response(store, raw, *[1600] * 5)
    await response(store, raw, *[9000] * 5, at_us=3_600 * S)
    _, ended, cut = changes(raw)
    assert (ended["before"], ended["after"], ended["samples"]) == ("500000", "1000000", "0")
    assert ended["at"] == str(T0 + 120 * S), "when its samples had aged"
    assert (cut["before"], cut["after"], cut["at"]) == ("1000000", "200000", str(T0 + 3_600 * S))


@pytest.mark.parametrize("noted", ["700000|1000000|1|5|800000|0|1|{end}|7|new", "=2=anything", "soon", ""])
async def test_evidence_that_another_release_noted_is_no_obstacle(store: Store, raw: redis.Redis, noted: str) -> None:
    raw.hset(keys.evidence(1), "acme|", noted.format(end=2**52))
    evidence = await response(store, raw, *[1600] * 5)
    assert evidence is not None and evidence.multiplier_ppm == 500_000
    (change,) = changes(raw)
    assert (change["before"], change["after"]) == ("700000" if "|" in noted else "1000000", "500000")
    assert await store.evidence(BOUND) is not None


async def test_the_present_multiplier_keeps_its_evidence(store: Store, raw: redis.Redis) -> None:
    await response(store, raw, *[1600] * 5)
    evidence = cast(bytes, raw.hget(keys.evidence(1), "acme|")).decode()
    assert evidence == f"500000|1000000|1600000|5|800000|0|{T0}|{T0 + 120 * S}"


async def test_an_action_of_its_own_is_cut_alone(store: Store, raw: redis.Redis) -> None:
    slow = bind([log(100)], subject=ACME, default_ppm=1_000_000, adapts_per="lookupOrder")
    quick = bind([log(100)], subject=replace(ACME, action="createCase"), default_ppm=1_000_000, adapts_per="createCase")
    await response(store, raw, *[1600] * 5, bound=slow)
    assert (await call(store, slow, 0)).multiplier == 0.5
    assert (await call(store, quick, 0)).multiplier == 1.0
    assert [change["action"] for change in changes(raw)] == ["lookupOrder"]


async def test_a_stranger_is_not_cut(store: Store, raw: redis.Redis) -> None:
    await response(store, raw, *[1600] * 5)
    globex = stack(log(100), subject=replace(ACME, tenant="globex"), default_ppm=1_000_000)
    assert (await call(store, globex, 0)).multiplier == 1.0


async def test_the_store_marks_who_is_cut_and_until_when(store: Store, raw: redis.Redis) -> None:
    await response(store, raw, *[1600] * 5)
    assert raw.zscore(keys.cut(1), "acme|") == T0 + 120 * S
    await response(store, raw, *[5] * 100, at_us=S)
    assert raw.zcard(keys.cut(1)) == 0
