"""A stack of limits: all or nothing, shadow limits, and who shares a count."""

from __future__ import annotations

from dataclasses import replace

import pytest
import redis

from limiter.core import keys
from limiter.core.store import Store
from limiter.core.types import CountedPer, Limit, Subject
from limiter.core.window import bind
from tests.limiter.core.given import ACME, S, bucket, call, counter, fill, log, slots, stack

GLOBEX = Subject(connection=1, tenant="globex", action="createCase", key="k9")


async def test_a_call_refused_by_one_limit_is_charged_to_none(store: Store, raw: redis.Redis) -> None:
    roomy = (log(100), counter(100), bucket(100, burst=100), slots(100))
    for tight in (
        log(1, name="tight"),
        counter(1, name="tight"),
        bucket(1, burst=1, name="tight"),
        slots(1, name="tight"),
    ):
        raw.flushall()
        for limits in ((*roomy, tight), (tight, *roomy)):
            bound = stack(*limits)
            await call(store, bound, 0, lease="first")
            before = {key: raw.dump(key) for key in bound.keys[5:]}
            refused = await call(store, bound, 0, lease="second")
            assert [state.limit.name for state in refused.violated] == ["tight"]
            assert {key: raw.dump(key) for key in bound.keys[5:]} == before


async def test_every_limit_is_charged_the_cost_of_an_admitted_call(store: Store) -> None:
    decision = await call(store, stack(log(10), counter(10), bucket(10, burst=10), slots(10)), 0, cost=3)
    assert [state.used for state in decision.states] == [3, 3, 3, 1]
    assert [state.remaining for state in decision.states] == [7, 7, 7, 9]


async def test_the_wait_is_the_latest_of_the_limits_that_refuse(store: Store) -> None:
    bound = stack(log(1, name="short"), log(1, name="long", window_us=50 * S), log(5, name="roomy"))
    await fill(store, bound, [0])
    refused = await call(store, bound, 1 * S)
    assert [state.wait_us for state in refused.states] == [9 * S, 49 * S, 0]
    assert refused.retry_after_us == 49 * S


async def test_no_wait_helps_when_one_limit_can_never_admit_the_cost(store: Store) -> None:
    bound = stack(log(1, name="small"), log(5, name="large"))
    await fill(store, bound, [0])
    refused = await call(store, bound, 0, cost=2)
    assert (refused.allowed, refused.retry_after_us) == (False, None)


async def test_no_limit_admits_everything(store: Store) -> None:
    decision = await call(store, stack(), 0, cost=1000)
    assert (decision.allowed, decision.states, decision.retry_after_us) == (True, (), 0)


async def test_a_limit_that_does_not_adapt_keeps_its_quota(store: Store, raw: redis.Redis) -> None:
    raw.set(keys.multiplier(1, "acme", None), 300_000, ex=60)
    decision = await call(store, stack(log(10), log(10, name="fixed", adaptive=False), default_ppm=1_000_000), 0)
    assert [state.effective for state in decision.states] == [3, 10]
    assert decision.multiplier == 0.3


async def test_a_policy_that_does_not_adapt_ignores_the_multiplier(store: Store, raw: redis.Redis) -> None:
    raw.set(keys.multiplier(1, "acme", None), 300_000, ex=60)
    decision = await call(store, stack(log(10)), 0)
    assert (decision.states[0].effective, decision.multiplier) == (10, 1.0)


async def test_without_a_multiplier_the_policy_s_default_holds(store: Store) -> None:
    decision = await call(store, stack(log(10), default_ppm=1_500_000), 0)
    assert (decision.states[0].effective, decision.multiplier) == (15, 1.5)


@pytest.mark.parametrize(("ppm", "effective"), [(1, 1), (199_999, 1), (200_000, 2), (999_999, 9), (1_000_001, 10)])
async def test_the_effective_limit_is_rounded_down_to_at_least_one(
    store: Store, raw: redis.Redis, ppm: int, effective: int
) -> None:
    raw.set(keys.multiplier(1, "acme", None), ppm, ex=60)
    assert (await call(store, stack(log(10), default_ppm=1_000_000), 0)).states[0].effective == effective


async def test_the_largest_quota_is_multiplied_exactly(store: Store, raw: redis.Redis) -> None:
    raw.set(keys.multiplier(1, "acme", None), 999_999, ex=60)
    decision = await call(store, stack(counter(999_999_999), default_ppm=1_000_000), 0)
    assert decision.states[0].effective == 999_998_999


# Shadow -----------------------------------------------------------------------------------------------------------


async def test_a_shadow_limit_never_refuses_and_says_that_it_would_have(store: Store) -> None:
    bound = stack(log(5), log(1, name="trial", shadow=True))
    await fill(store, bound, [0])
    decision = await call(store, bound, 1 * S)
    assert (decision.allowed, decision.retry_after_us, decision.violated) == (True, 0, ())
    assert [(state.limit.name, state.wait_us) for state in decision.shadow_violated] == [("trial", 9 * S)]


async def test_a_shadow_limit_counts_only_what_it_would_have_admitted(store: Store, raw: redis.Redis) -> None:
    trial = log(2, name="trial", shadow=True)
    bound = stack(log(100), trial)
    await fill(store, bound, range(10))
    assert raw.llen(keys.window(trial, ACME)) == 2
    assert raw.llen(keys.window(log(100), ACME)) == 10


async def test_shadow_limits_are_all_or_nothing_among_themselves(store: Store) -> None:
    bound = stack(log(100), log(1, name="trial", shadow=True), counter(100, name="other", shadow=True))
    decisions = [await call(store, bound, at) for at in range(3)]
    assert [state.used for state in decisions[-1].states] == [3, 1, 1]


async def test_a_refused_call_is_charged_to_no_shadow_limit(store: Store) -> None:
    bound = stack(log(1), log(100, name="trial", shadow=True))
    decisions = [await call(store, bound, at) for at in range(3)]
    assert [state.used for state in decisions[-1].states] == [1, 1]


# Who shares a count -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [log(1), counter(1), bucket(1, burst=1), slots(1)], ids=lambda li: str(li.algorithm))
@pytest.mark.parametrize(
    ("counted_per", "other", "shared"),
    [
        (CountedPer.ACTION, replace(ACME, action="createCase"), False),
        (CountedPer.ACTION, replace(ACME, key="k2"), True),
        (CountedPer.TENANT, replace(ACME, action="createCase", key="k2"), True),
        (CountedPer.TENANT, GLOBEX, False),
        (CountedPer.KEY, replace(ACME, action="createCase"), True),
        (CountedPer.KEY, replace(ACME, key="k2"), False),
        (CountedPer.CONNECTION, GLOBEX, True),
        (CountedPer.CONNECTION, replace(GLOBEX, connection=2), False),
    ],
)
async def test_calls_share_a_count_as_the_limit_says(
    store: Store, limit: Limit, counted_per: CountedPer, other: Subject, shared: bool
) -> None:
    counted = replace(limit, counted_per=counted_per)
    assert (await call(store, bind([counted], subject=ACME), 0, lease="one")).allowed
    assert (await call(store, bind([counted], subject=other), 0, lease="two")).allowed is not shared


async def test_a_stranger_s_calls_are_never_counted_with_ours(store: Store) -> None:
    limits = [
        replace(log(1), name=per.value, counted_per=per) for per in CountedPer if per is not CountedPer.CONNECTION
    ]
    assert (await call(store, bind(limits, subject=ACME), 0)).allowed
    assert (await call(store, bind(limits, subject=GLOBEX), 0)).allowed


async def test_limits_of_different_names_never_share_a_count(store: Store) -> None:
    decision = await call(store, stack(log(10), log(10, name="second")), 0)
    assert [state.used for state in decision.states] == [1, 1]


def test_two_limits_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="same name"):
        stack(log(1), counter(1, name="minute"))
