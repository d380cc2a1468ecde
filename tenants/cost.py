"""The cost of a call whose action takes it from the payload."""

from __future__ import annotations

import math
from typing import Any, Protocol

from django.utils.translation import gettext as _

from quota_platform.base import json_pointer

MAX_COST = 1_000
"""Units of one call at most, as the deciding script takes them."""


class CostUnknown(ValueError):
    """The payload has no cost where the action says; the message names the place and the remedy."""


class Priced(Protocol):
    """An action, as a row or as a spec."""

    @property
    def cost(self) -> int: ...
    @property
    def cost_from(self) -> str: ...
    @property
    def min_cost(self) -> int: ...
    @property
    def max_cost(self) -> int: ...
    @property
    def cost_without(self) -> int | None: ...


def of(action: Priced, payload: Any) -> int:
    """Units of a call with this payload: ``cost`` for each item of the list, or for each one of the number.

    Never below ``min_cost`` nor above ``max_cost``. Raises :class:`CostUnknown` where there is neither a list nor a
    number, and the action has no cost for a call without.
    """
    if not action.cost_from:
        return action.cost
    found = json_pointer.find(payload, action.cost_from)
    amount = len(found) if isinstance(found, list) else found
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not amount >= 0:
        if action.cost_without is None:
            said = _("{pointer}: this action takes its cost from here; send a list, or a number of 0 or more.")
            raise CostUnknown(said.format(pointer=action.cost_from))
        return action.cost_without
    units = math.ceil(min(amount, action.max_cost)) * action.cost
    return min(action.max_cost, max(action.min_cost, units))


def nominal(action: Priced) -> int:
    """Units of a call of which no payload is known: the least that one can cost."""
    return action.min_cost if action.cost_from else action.cost
