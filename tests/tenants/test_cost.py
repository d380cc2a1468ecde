"""What a call costs whose action takes its cost from the payload."""

from __future__ import annotations

from typing import Any

import pytest

from tenants import cost
from tenants.directory import ActionSpec


def priced(**more: Any) -> ActionSpec:
    return ActionSpec(1, "send", **({"cost_from": "/messages"} | more))


@pytest.mark.parametrize(
    ("messages", "units"),
    [
        (["a", "b", "c"], 3),
        ([], 1),
        (4, 4),
        (0, 1),
        (2.1, 3),
        (5000, 1000),
        (10**400, 1000),
        (float("inf"), 1000),
    ],
)
def test_a_list_costs_its_items_and_a_number_itself_within_the_bounds(messages: object, units: int) -> None:
    assert cost.of(priced(), {"messages": messages}) == units


def test_the_cost_of_the_action_is_that_of_each_and_the_bounds_are_those_of_all_together() -> None:
    action = priced(cost=3, min_cost=5, max_cost=20)
    assert [cost.of(action, {"messages": [0] * many}) for many in (1, 2, 4, 6, 7, 100)] == [5, 6, 12, 18, 20, 20]


NO_COSTS = (None, -1, "7", True, {"a": 1}, float("nan"))


@pytest.mark.parametrize("payload", [None, {}, [], *({"messages": value} for value in NO_COSTS)])
def test_a_payload_without_a_cost_is_refused_with_its_place_or_takes_the_cost_without(payload: object) -> None:
    with pytest.raises(cost.CostUnknown, match=r"^/messages: .* send a list, or a number"):
        cost.of(priced(), payload)
    assert cost.of(priced(cost_without=7), payload) == 7


def test_an_action_without_a_pointer_costs_the_same_whatever_is_sent() -> None:
    assert cost.of(ActionSpec(1, "send", cost=2), {"messages": [1, 2, 3]}) == 2
    assert cost.nominal(ActionSpec(1, "send", cost=2)) == 2


def test_of_a_call_that_is_not_there_the_least_is_known() -> None:
    assert cost.nominal(priced(cost=3, min_cost=2)) == 2
