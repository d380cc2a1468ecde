"""Which limits apply to a call: default, tenant and action policies, and what an override changes for a while."""

from __future__ import annotations

import math
from typing import Any

import pytest

from limiter.core import in_flight
from limiter.core.adaptive import AdaptiveSettings
from limiter.core.ends import LearningSettings
from limiter.core.in_flight import CARRIER
from limiter.core.types import Limit, Subject
from limiter.policies.compiled import PolicySpec
from limiter.policies.plan import OverrideSpec, Replaced, bind, build_plan

MINUTE = 60_000_000
ACME = Subject(1, "acme", "lookupOrder", "")


def limit(name: str = "minute", quota: int = 100, **fields: Any) -> Limit:
    return Limit(**{"name": name, "algorithm": "sliding_log", "quota": quota, "window_us": MINUTE, **fields})


def policy(name: str, *limits: Limit, **fields: Any) -> PolicySpec:
    given = {"version": 1, "mode": "enforce", "store_failure": "local", "reduced_status": 429, "adaptive": None}
    return PolicySpec(id=1, name=name, limits=limits, **{**given, **fields})


def override(effect: str, **fields: Any) -> OverrideSpec:
    given = {"id": 1, "action_id": None, "limit_name": "", "factor": None, "quota": None, "reason": "test"}
    return OverrideSpec(**{**given, "effect": effect, "starts_at": 10.0, "ends_at": 20.0, **fields})


def quotas(*overrides: OverrideSpec, of: Limit | None = None, now: float = 15.0, action: str | None = "a") -> list[int]:
    plan = build_plan([policy("Base", of or limit())], overrides=overrides, now=now, action_id=action)
    return [each.quota for each in plan.limits]


def test_a_limit_that_is_learned_takes_the_place_of_the_one_that_carries_a_policy_s_cut() -> None:
    carrier = Limit(CARRIER, "concurrency", 8, lease_us=MINUTE)
    plan = build_plan([policy("Base", limit(), carrier)], overrides=[override("factor", factor=2.0)], now=15.0)
    assert [each.name for each in bind(plan, ACME).limits] == ["minute", CARRIER]
    bound = bind(plan, ACME, learned=in_flight.learned(LearningSettings()))
    assert [each.name for each in bound.limits] == ["minute", "(in flight)"]


class TestTheStack:
    def test_same_name_replaces_and_different_names_add_up(self) -> None:
        base, gold = policy("Base", limit(quota=100)), policy("Gold", limit(quota=600), limit("day", 100_000))
        plan = build_plan([base, gold])
        assert [(each.name, each.quota) for each in plan.limits] == [("minute", 600), ("day", 100_000)]
        assert plan.replaced == (Replaced(base.limits[0], by_policy="Gold"),)

    def test_the_narrowest_policy_has_the_last_word(self) -> None:
        stack = [policy(name, limit(quota=quota)) for name, quota in (("Base", 1), ("Gold", 2), ("Slow", 3))]
        plan = build_plan(stack)
        assert [each.quota for each in plan.limits] == [3]
        assert [(gone.limit.quota, gone.by_policy) for gone in plan.replaced] == [(1, "Gold"), (2, "Slow")]

    def test_settings_come_from_the_most_specific_policy(self) -> None:
        adaptive = AdaptiveSettings(sensitivity=2)
        base = policy("Base", limit(), adaptive=AdaptiveSettings(), store_failure="closed")
        gold = policy("Gold", adaptive=adaptive, store_failure="open", reduced_status=503)
        plan = build_plan([base, gold], cost=7)
        assert (plan.adaptive, plan.store_failure, plan.reduced_status, plan.cost) == (adaptive, "open", 503, 7)
        assert build_plan([base]).store_failure == "closed"

    def test_nobody_has_said_how_much(self) -> None:
        plan = build_plan([])
        assert (plan.limits, plan.adaptive, plan.valid_until) == ((), None, math.inf)


class TestOverrides:
    @pytest.mark.parametrize(("now", "quota"), [(9.9, 100), (10.0, 200), (19.9, 200), (20.0, 100)])
    def test_one_is_in_force_from_its_start_until_just_before_its_end(self, now: float, quota: int) -> None:
        assert quotas(override("factor", factor=2), now=now) == [quota]

    @pytest.mark.parametrize(("now", "until"), [(0.0, 10.0), (10.0, 20.0), (20.0, math.inf)])
    def test_the_plan_holds_until_the_next_start_or_end(self, now: float, until: float) -> None:
        assert build_plan([], overrides=[override("shadow")], now=now).valid_until == until

    def test_the_plan_knows_the_limits_that_come_after_it(self) -> None:
        twice = override("factor", factor=2)
        before, during, after = (build_plan([policy("Base", limit())], overrides=[twice], now=t) for t in (0, 15, 20))
        assert [[each.quota for each in plan.limits_then] for plan in (before, during, after)] == [[200], [100], []]

    def test_another_actions_override_neither_counts_nor_ends_the_plan(self) -> None:
        other = override("factor", factor=2, action_id="b")
        plan = build_plan([policy("Base", limit())], overrides=[other], now=15, action_id="a")
        assert (plan.limits[0].quota, plan.valid_until, plan.overrides) == (100, math.inf, ())

    @pytest.mark.parametrize(
        ("factor", "quota"), [(0.29, 29), (1.1, 110), (0.001, 1), (0.999, 99), (50_000, 1_000_000)]
    )
    def test_a_factor_multiplies_and_rounds_down_within_what_the_algorithm_holds(
        self, factor: float, quota: int
    ) -> None:
        assert quotas(override("factor", factor=factor)) == [quota]

    def test_a_factor_changes_a_bucket_and_its_burst(self) -> None:
        bucket = limit("burst", 17, algorithm="token_bucket", burst=250)
        plan = build_plan([policy("Base", bucket)], overrides=[override("factor", factor=2)], now=15)
        assert (plan.limits[0].quota, plan.limits[0].burst) == (34, 500)

    def test_a_bucket_never_grows_past_what_the_script_can_count(self) -> None:
        bucket = limit("burst", 17, algorithm="token_bucket", burst=10**8)
        plan = build_plan([policy("Base", bucket)], overrides=[override("factor", factor=100)], now=15)
        assert plan.limits[0].burst == 9 * 10**9 // 60

    def test_a_set_value_goes_to_the_named_limit_alone(self) -> None:
        stack = [policy("Base", limit(), limit("day", 1000))]
        plan = build_plan(stack, overrides=[override("quota", quota=7, limit_name="minute")], now=15)
        assert [each.quota for each in plan.limits] == [7, 1000]

    def test_factors_come_on_top_of_set_values_whatever_their_order(self) -> None:
        sets, doubles = override("quota", quota=50), override("factor", factor=2, id=2)
        assert quotas(sets, doubles) == quotas(doubles, sets) == [100]

    def test_of_two_set_values_the_actions_wins_and_then_the_later(self) -> None:
        late = override("quota", quota=1, id=3, starts_at=12.0)
        early = override("quota", quota=2, id=4, starts_at=11.0)
        own = override("quota", quota=3, id=2, action_id="a")
        assert quotas(late, early) == quotas(early, late) == [1]
        assert quotas(own, late, early) == [3]

    def test_shadow_stops_refusing_and_keeps_counting(self) -> None:
        plan = build_plan([policy("Base", limit())], overrides=[override("shadow")], now=15)
        assert plan.limits[0].shadow and plan.limits[0].quota == 100

    def test_an_action_that_is_not_registered_is_under_the_tenants_overrides_alone(self) -> None:
        mine, others = override("factor", factor=2), override("factor", factor=3, action_id="a")
        assert quotas(mine, others, action=None) == [200]
