"""What a policy says in words has to be what the limiter does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import translation

from limiter.core.amounts import duration
from limiter.models import Assignment, Override, QuotaLimit, QuotaPolicy
from limiter.policies import sentences
from tenants.models import Action, Tenant


def line(**fields: Any) -> QuotaLimit:
    return QuotaLimit(**{"name": "minute", "quota": 100, "window_seconds": 60, **fields})


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (1, "second"),
        (60, "minute"),
        (90, "90 seconds"),
        (120, "2 minutes"),
        (3600, "hour"),
        (5400, "90 minutes"),
        (86_400, "day"),
        (7 * 86_400, "7 days"),
        (None, "…"),
    ],
)
def test_a_duration_is_said_in_the_largest_unit_that_fits_exactly(seconds: int | None, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (line(), "at most 100 units in any minute for each action of each tenant"),
        (line(quota=1, counted_per="key"), "at most 1 unit in any minute for each API key"),
        (
            line(algorithm="sliding_counter", quota=100_000, window_seconds=86_400, counted_per="tenant"),
            "at most 100,000 units in any day for each tenant, all its actions together; "
            "may refuse up to 24 minutes early",
        ),
        (
            line(algorithm="sliding_counter", window_seconds=10),
            "at most 100 units in any 10 seconds for each action of each tenant; may refuse up to 0.17 seconds early",
        ),
        (
            line(algorithm="token_bucket", quota=17, burst=250, counted_per="connection"),
            "at most 250 units at once, refilled by 17 per minute, for each connection, all its tenants together",
        ),
        (
            line(algorithm="concurrency", quota=10, window_seconds=None, lease_seconds=90),
            "at most 10 calls in flight at once for each action of each tenant; a slot frees itself after 90 seconds",
        ),
        (line(quota=None, window_seconds=None), "at most … units in any … for each action of each tenant"),
    ],
)
def test_each_algorithm_has_its_sentence(limit: QuotaLimit, said: str) -> None:
    assert sentences.limit(limit) == said


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (line(), "minute 100 per minute"),
        (line(name="day", window_seconds=86_400, counted_per="tenant"), "day 100 per day per tenant"),
        (
            line(name="burst", algorithm="token_bucket", quota=17, burst=250, counted_per="connection"),
            "burst 17 per minute, 250 at once per connection",
        ),
        (
            line(name="inflight", algorithm="concurrency", window_seconds=None, quota=10, counted_per="key"),
            "inflight 10 in flight per key",
        ),
    ],
)
def test_lists_have_a_short_form(limit: QuotaLimit, said: str) -> None:
    assert sentences.brief(limit) == said


def test_a_list_of_limits_is_one_line() -> None:
    assert sentences.briefly([line(), line(name="hour", window_seconds=3600)]) == (
        "minute 100 per minute · hour 100 per hour"
    )
    assert sentences.briefly([]) == "no limits"


def test_the_default_policy_is_said_whole() -> None:
    assert sentences.policy(QuotaPolicy(name="Base"), [line()]) == [
        "minute: at most 100 units in any minute for each action of each tenant.",
        "A call over any limit is refused and charged to none; its response contains the wait.",
        "While the p95 of the tenant's latest 100 latencies is above 800 ms, the limits shrink: "
        "at 1,600 ms to 50 %, never below 20 %.",
        "While the store is unavailable, each worker spends its own share of the limits.",
        "Alerts start when 80 %, 95 % and 100 % of a limit in force is used.",
    ]


def test_shadow_fixed_and_failing_open_are_said() -> None:
    policy = QuotaPolicy(name="Trial", mode="shadow", adaptive=False, store_failure="open")
    assert sentences.policy(policy, [line()]) == [
        "minute: at most 100 units in any minute for each action of each tenant.",
        "Shadow: a call over a limit is recorded and let through.",
        "The limits do not follow the upstream's latency.",
        "While the store is unavailable, every call passes.",
        "Alerts start when 80 %, 95 % and 100 % of a limit in force is used.",
    ]


def test_waits_and_appointments_are_said() -> None:
    slots = line(name="inflight", algorithm="concurrency", quota=5, window_seconds=None)
    said = sentences.policy(QuotaPolicy(wait_seconds=10, reserve_seconds=5), [line(), slots])
    assert "It waits for its turn first, for up to 10 seconds, unless it prefers another time." in said
    assert "The unit of a refused call is held for its client until 5 seconds after its Retry-After." in said
    assert "No slot of inflight is held: nobody knows when a running call ends." in said
    without = " ".join(sentences.policy(QuotaPolicy(), [line()]))
    assert "turn" not in without and "held" not in without


@pytest.mark.parametrize(
    ("alert_at", "said"),
    [([], "Nobody is alerted."), ([90], "Alerts start when 90 % of a limit in force is used.")],
)
def test_whether_anybody_is_alerted_is_said(alert_at: list[int], said: str) -> None:
    assert sentences.policy(QuotaPolicy(name="Base", alert_at=alert_at), [line()])[-1] == said


def test_a_limit_that_stays_fixed_says_so() -> None:
    said = sentences.policy(QuotaPolicy(name="Mixed", max_multiplier=1.5), [line(), line(name="day", adaptive=False)])
    assert "It never shrinks." not in said[0]
    assert said[1].endswith("It never shrinks.")
    assert "at 1,600 ms to 100 %, never below 20 %. Up to it they stand at 150 %." in said[3]


def test_a_policy_without_limits_says_that_it_refuses_nothing() -> None:
    assert sentences.policy(QuotaPolicy(name="Empty"), []) == ["No limits: this policy by itself refuses nothing."]


def test_assignments_name_their_tenants(acme: Tenant, base_policy: QuotaPolicy) -> None:
    action = Action.objects.get(tenant=acme)
    assert [
        sentences.assignment(Assignment(policy=base_policy, target="default")),
        sentences.assignment(Assignment(policy=base_policy, target="tenant", tenant=acme)),
        sentences.assignment(Assignment(policy=base_policy, target="action", action=action)),
    ] == ["everyone", "tenant acme", "action acme/lookupOrder"]


def test_overrides_name_their_change_their_tenants_and_their_end(acme: Tenant) -> None:
    times = {"starts_at": datetime(2026, 5, 1, 9, tzinfo=UTC), "ends_at": datetime(2026, 5, 1, 17, 30, tzinfo=UTC)}
    action = Action.objects.get(tenant=acme)
    said = [
        sentences.override(Override(tenant=acme, effect="factor", factor=2.5, **times)),
        sentences.override(Override(tenant=acme, action=action, effect="quota", quota=500, limit_name="day", **times)),
        sentences.override(Override(tenant=acme, effect="shadow", **times)),
    ]
    until = "from 2026-05-01 09:00 UTC to 2026-05-01 17:30 UTC"
    assert said == [
        f"acme, all actions: every limit multiplied by 2.5, {until}",
        f"acme/lookupOrder: limit day set to 500, {until}",
        f"acme, all actions: every limit records and does not refuse, {until}",
    ]


def test_a_policy_speaks_the_readers_language() -> None:
    row = QuotaPolicy(name="Gold", alert_at=[80, 95])
    line = QuotaLimit(name="day", algorithm="sliding_log", quota=1_000, window_seconds=7_200, counted_per="action")
    with translation.override("de"):
        said = sentences.policy(row, [line])
    assert (
        said[0] == "day: höchstens 1.000 Einheiten je 2 Stunden für jede Aktion jedes Mandanten. Es wird nie gekürzt."
    )
    assert said[-1] == "Alarme beginnen, wenn 80 % und 95 % eines geltenden Limits belegt sind."


def test_a_limit_that_counts_by_a_value_says_of_which() -> None:
    contact = line(name="contact", counted_per="connection", counted_by="/contactId")
    assert sentences.limit(contact).endswith(
        "for each connection, all its tenants together, and for each value of /contactId"
    )
    assert sentences.brief(contact).endswith("per connection per value of /contactId")
    assert sentences.brief(line()) == "minute 100 per minute"
