"""Policies compile to frozen values, and what cannot compile says where and what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from limiter.core.adaptive import AdaptiveSettings
from limiter.core.types import CountedPer, Limit, ServiceClass, Share
from limiter.live import entry_format
from limiter.models import QuotaLimit, QuotaPolicy
from limiter.policies.compiled import PolicyInvalid, compile_policy


def policy(**fields: Any) -> QuotaPolicy:
    return QuotaPolicy(**{"name": "Gold", "version": 3, **fields})


def line(**fields: Any) -> QuotaLimit:
    return QuotaLimit(**{"name": "minute", "quota": 100, "window_seconds": 60, **fields})


def test_rows_become_one_frozen_value() -> None:
    spec = compile_policy(
        policy(reduced_status=503, store_failure="open", adaptive_scope="action"),
        [
            line(),
            line(name="day", algorithm="sliding_counter", quota=10**9, window_seconds=86_400, counted_per="tenant"),
            line(name="burst", algorithm="token_bucket", quota=17, burst=250, adaptive=False),
            line(name="inflight", algorithm="concurrency", quota=5, window_seconds=None, lease_seconds=30),
        ],
    )
    gold: dict[str, Any] = {"policy_name": "Gold", "policy_version": 3, "alert_at": (80, 95, 100)}
    assert spec.limits == (
        Limit("minute", "sliding_log", 100, 60_000_000, **gold),
        Limit(
            "day",
            "sliding_counter",
            10**9,
            86_400_000_000,
            counted_per=CountedPer.TENANT,
            adaptive=False,
            **gold,
        ),
        Limit("burst", "token_bucket", 17, 60_000_000, burst=250, adaptive=False, **gold),
        Limit("inflight", "concurrency", 5, lease_us=30_000_000, **gold),
    )
    assert (spec.reduced_status, spec.store_failure) == (503, "open")
    assert spec.adaptive == AdaptiveSettings(per_action=True)


def test_a_shadow_policy_makes_shadow_limits() -> None:
    assert compile_policy(policy(mode="shadow"), [line()]).limits[0].shadow


@pytest.mark.parametrize(("scope", "per"), [("tenant", CountedPer.TENANT), ("action", CountedPer.ACTION)])
def test_a_cut_that_falls_on_calls_in_flight_leaves_windows_whole(scope: str, per: CountedPer) -> None:
    lines = [
        line(quota=1200),
        line(name="burst", algorithm="token_bucket", quota=10, window_seconds=1, burst=50),
        line(name="day", quota=100, window_seconds=86_400, adaptive=False),
        line(name="inflight", algorithm="concurrency", quota=50, window_seconds=None),
    ]
    spec = compile_policy(policy(cut_carrier="in_flight", adaptive_scope=scope), lines)
    assert {limit.name: limit.adaptive for limit in spec.limits} == {
        "minute": False,
        "burst": False,
        "day": False,
        "inflight": True,
        "(in flight per tenant)": True,
    }
    carrier = spec.limits[-1]
    assert (carrier.algorithm, carrier.quota, carrier.counted_per) == ("concurrency", 8, per), "10/s for 0.8 s"
    assert not carrier.shadow and carrier.policy_name == "Gold"


@pytest.mark.parametrize("fields", [{"adaptive": False}, {"cut_carrier": "limits"}])
def test_without_a_cut_of_its_own_a_policy_has_no_more_limits_than_its_lines(fields: dict[str, Any]) -> None:
    assert [
        limit.name for limit in compile_policy(policy(**{"cut_carrier": "in_flight", **fields}), [line()]).limits
    ] == ["minute"]


def test_limits_of_a_policy_that_does_not_adapt_never_shrink() -> None:
    spec = compile_policy(policy(adaptive=False), [line()])
    assert spec.adaptive is None and not spec.limits[0].adaptive


def test_a_policy_without_limits_compiles() -> None:
    assert compile_policy(policy(), []).limits == ()


_BAD_TERMS: list[tuple[str, dict[str, Any]]] = [
    ("share_weight", {"share_weight": 0}),
    ("share_weight", {"share_weight": -1}),
    ("share_weight", {"share_weight": 10_001}),
    ("share_floor", {"share_floor": -1}),
    ("share_floor", {"share_floor": 101}),
    ("share_floor", {"share_floor": None}),
    ("share_ceiling", {"share_ceiling": 0}),
    ("share_ceiling", {"share_ceiling": 10**12}),
    ("share_ceiling", {"share_floor": 50, "share_ceiling": 49}),
    ("share_class", {"share_class": "royal"}),
]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "Minute"}, "name"),
        ({"name": ""}, "name"),
        ({"algorithm": "leaky_bucket"}, "algorithm"),
        ({"counted_per": "planet"}, "counted_per"),
        ({"quota": 0}, "quota"),
        ({"quota": -1}, "quota"),
        ({"quota": None}, "quota"),
        ({"quota": 1_000_001}, "quota"),
        ({"quota": 10**9 + 1, "algorithm": "sliding_counter"}, "quota"),
        ({"window_seconds": None}, "window_seconds"),
        ({"window_seconds": 0}, "window_seconds"),
        ({"window_seconds": 32 * 86_400}, "window_seconds"),
        ({"algorithm": "concurrency"}, "window_seconds"),
        ({"algorithm": "concurrency", "window_seconds": None, "lease_seconds": 0}, "lease_seconds"),
        ({"burst": 5}, "burst"),
        ({"algorithm": "token_bucket"}, "burst"),
        ({"algorithm": "token_bucket", "burst": 10**9, "window_seconds": 10}, "burst"),
        *(({"counted_by": wrong}, "counted_by") for wrong in ("contact id", "/a~", "Authorization", "x-api-key", "é")),
        *(({"counted_by": "/contactId", "max_values": most}, "max_values") for most in (0, -1, 100_001, None)),
        ({"shared": True, "counted_per": "connection", "counted_by": "/contactId"}, "shared"),
        ({"shared": True}, "shared"),
        *(({"shared": True, "counted_per": "connection", **terms}, field) for field, terms in _BAD_TERMS),
    ],
)
def test_a_limit_that_cannot_be_decided_names_its_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        compile_policy(policy(), [line(**fields)])
    assert (caught.value.policy, caught.value.field) == ("Gold", field)
    assert str(caught.value).startswith(f"policy 'Gold', limit {fields.get('name', 'minute')!r}, {field}: ")
    assert caught.value.remedy.endswith(".")


@pytest.mark.parametrize(
    "fields",
    [
        {"mode": "bogus"},
        {"store_failure": ""},
        {"reduced_status": 500},
        {"wait_seconds": -1},
        {"wait_seconds": 301},
        {"reserve_seconds": 61},
        {"reserve_seconds": None},
        {"adaptive_scope": "galaxy"},
        {"cut_carrier": "pigeon"},
        {"latency_threshold_ms": 0},
        {"sensitivity": float("nan")},
        {"min_multiplier": 0.0},
        {"max_multiplier": 0.1},
        {"max_multiplier": float("inf")},
        {"min_samples": 0},
        {"sample_size": 4},
        {"sample_max_age_seconds": None},
        {"alert_at": None},
        {"alert_at": "80"},
        {"alert_at": {}},
        {"alert_at": [80, 80]},
        {"alert_at": [95, 80]},
        {"alert_at": [0]},
        {"alert_at": [101]},
        {"alert_at": [80.5]},
        {"alert_at": [True]},
        {"alert_at": [1, 2, 3, 4, 5, 6]},
    ],
)
def test_a_setting_that_makes_no_sense_is_named(fields: dict[str, Any]) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        compile_policy(policy(**fields), [line()])
    assert {caught.value.field} == fields.keys() and caught.value.limit is None


def test_adaptive_settings_of_a_policy_that_does_not_adapt_are_not_looked_at() -> None:
    assert compile_policy(policy(adaptive=False, min_multiplier=0.0), [line()]).adaptive is None


SLOTS = {"name": "inflight", "algorithm": "concurrency", "window_seconds": None}


@pytest.mark.parametrize(
    "fields",
    [{}, {"algorithm": "sliding_counter"}, {"algorithm": "token_bucket", "burst": 5}],
    ids=["log", "counter", "bucket"],
)
def test_all_but_slots_can_be_held_for_refused_calls(fields: dict[str, Any]) -> None:
    spec = compile_policy(policy(reserve_seconds=5), [line(**fields), line(**SLOTS)])
    assert [limit.reserve_us for limit in spec.limits] == [5_000_000, 0]


def test_appointments_need_a_limit_that_can_hold_units() -> None:
    with pytest.raises(PolicyInvalid) as caught:
        compile_policy(policy(reserve_seconds=5), [line(**SLOTS)])
    assert caught.value.field == "algorithm" and "slots are not held" in caught.value.remedy


@pytest.mark.parametrize(
    "fields",
    [{}, {"algorithm": "sliding_counter"}, {"algorithm": "token_bucket", "burst": 5}],
    ids=["log", "counter", "bucket"],
)
def test_a_shared_limit_can_hold_units_for_refused_calls(fields: dict[str, Any]) -> None:
    (limit,) = compile_policy(policy(reserve_seconds=5), [line(**fields, counted_per="connection", shared=True)]).limits
    assert limit.share is not None and limit.reserve_us == 5_000_000


def test_slots_in_flight_can_be_shared() -> None:
    terms = {"algorithm": "concurrency", "window_seconds": None, "counted_per": "connection", "shared": True}
    (limit,) = compile_policy(policy(), [line(**terms, share_floor=2)]).limits
    assert limit.share == Share(floor=2, over_us=4_000_000)


def test_the_terms_of_a_shared_limit_compile_with_the_time_that_counts() -> None:
    terms = {"share_weight": 3, "share_floor": 10, "share_ceiling": 60, "share_class": "bulk"}
    (limit,) = compile_policy(policy(), [line(counted_per="connection", shared=True, **terms)]).limits
    assert limit.share == Share(3, 10, 60, ServiceClass.BULK, over_us=60_000_000)


@pytest.mark.parametrize("place", ["/contactId", "/a~1b/0", "X-Contact-Id"])
def test_a_limit_counts_by_a_pointer_or_a_header(place: str) -> None:
    (limit,) = compile_policy(policy(), [line(counted_by=place)]).limits
    assert (limit.counted_by, limit.max_values) == (place, 1000)


def test_two_limits_of_one_name_are_refused() -> None:
    with pytest.raises(PolicyInvalid, match="limit 'minute', name: "):
        compile_policy(policy(), [line(), line(quota=5)])


@pytest.mark.parametrize("adaptive", [True, False])
def test_a_spec_survives_the_cache(adaptive: bool) -> None:
    pool = line(name="pool", counted_per="connection", shared=True, share_weight=3, share_class="critical")
    lines = [line(), line(name="burst", algorithm="token_bucket", burst=9), pool]
    spec = compile_policy(policy(adaptive=adaptive), lines)
    assert entry_format.policy(json.loads(json.dumps(entry_format.of_policy(spec)))) == spec
