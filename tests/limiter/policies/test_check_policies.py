"""`manage.py check_policies` compiles stored policies and names faults and oddities."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from tenants.models import Tenant

pytestmark = pytest.mark.django_db


def checked() -> list[str]:
    """The lines that the command prints."""
    out = StringIO()
    call_command("check_policies", stdout=out, no_color=True)
    return out.getvalue().splitlines()


def policy(name: str, *limits: tuple[str, int, int], **fields: Any) -> QuotaPolicy:
    row = QuotaPolicy.objects.create(name=name, **fields)
    for limit, quota, seconds in limits:
        QuotaLimit.objects.create(policy=row, name=limit, quota=quota, window_seconds=seconds)
    return row


def test_sound_policies_are_listed_with_their_tenants(base_policy: QuotaPolicy, acme: Tenant, globex: Tenant) -> None:
    gold = policy("Gold", ("minute", 600, 60))
    Assignment.objects.create(policy=gold, target="tenant", tenant=acme)
    Assignment.objects.create(policy=gold, target="tenant", tenant=globex)
    Assignment.objects.create(policy=gold, target="action", action=acme.actions.get())
    policy("Spare", ("minute", 1, 60), mode="shadow")
    head, *lines = [line.split(maxsplit=4) for line in checked()]
    assert head[:4] == ["policy", "version", "mode", "limits"]
    assert [(line[0], *line[2:]) for line in lines] == [
        ("Base", "enforce", "1", "everyone             ok"),
        ("Gold", "enforce", "1", "2 tenants, 1 action  ok"),
        ("Spare", "shadow", "1", "nobody               ok"),
    ]


def test_one_that_cannot_be_used_fails_the_command_and_is_named(base_policy: QuotaPolicy) -> None:
    base_policy.limits.update(algorithm="bogus")
    out = StringIO()
    with pytest.raises(CommandError, match="policy 'Base', limit 'minute', algorithm: Choose one of"):
        call_command("check_policies", stdout=out)
    assert "cannot be used" in out.getvalue()


def test_limits_of_different_policies_that_meet_in_one_call_are_compared(
    base_policy: QuotaPolicy, acme: Tenant, globex: Tenant
) -> None:
    gold = policy("Gold", ("hour", 6000, 3600))
    Assignment.objects.create(policy=gold, target="tenant", tenant=acme)
    Assignment.objects.create(policy=gold, target="tenant", tenant=globex)
    slow = policy("Slow", ("five", 5, 60))
    Assignment.objects.create(policy=slow, target="action", action=acme.actions.get())
    said = [line for line in checked() if line.startswith("warning: ")]
    assert said == [
        "warning: Base → Gold: hour is never reached: minute lets at most 6,000 units pass per hour.",
        "warning: Base → Gold → Slow: minute is never reached: five lets at most 5 units pass per minute.",
    ]


def test_a_limit_that_was_replaced_or_only_watches_makes_no_other_idle(base_policy: QuotaPolicy, acme: Tenant) -> None:
    watching = policy("Watching", ("minute", 1, 60), mode="shadow")
    Assignment.objects.create(policy=watching, target="tenant", tenant=acme)
    own = policy("Own", ("hour", 50, 3600))
    Assignment.objects.create(policy=own, target="action", action=acme.actions.get())
    assert not [line for line in checked() if line.startswith("warning: ")]


def test_no_policy_for_everyone_and_one_without_limits_are_pointed_out() -> None:
    QuotaPolicy.objects.create(name="Empty")
    assert checked()[2:] == [
        "warning: Everyone: no policy is assigned, so tenants without a policy of their own are not limited.",
        "warning: Empty: has no limits, so by itself it limits nothing.",
    ]


def test_an_empty_database_is_no_error() -> None:
    assert len(checked()) == 2
