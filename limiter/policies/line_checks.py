"""What a limit may hold, field by field, each with its remedy. Nothing is assumed to have been validated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from django.utils.translation import gettext_noop

from limiter.core.algorithms import RULES, rules_of
from limiter.core.types import (
    MAX_LEASE_SECONDS,
    MAX_QUOTA,
    MAX_WEIGHT,
    MAX_WINDOW_SECONDS,
    CountedPer,
    ServiceClass,
)
from limiter.core.values import MAX_VALUES
from limiter.policies.models import QuotaLimit
from quota_platform.base import json_pointer

_LIMIT_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})
ONE_OF = gettext_noop("Choose one of {bound}.")
ABOVE_0 = gettext_noop("Give a number above 0.")
SECONDS = gettext_noop("Give 1 to {bound} seconds.")
_UNITS = gettext_noop("Give 1 to {bound} units.")
Bound = int | Sequence[object]
_DEPENDENT = (
    ("window_seconds", MAX_WINDOW_SECONDS, SECONDS),
    ("burst", MAX_QUOTA, _UNITS),
    ("lease_seconds", MAX_LEASE_SECONDS, SECONDS),
)
"""The fields that depend on the algorithm, each with its range and the remedy for a value outside it.

Which of them may be empty the algorithm says.
"""


def limit_checks(line: QuotaLimit) -> Iterable[tuple[str, bool, str, Bound]]:
    """Field, whether it is sound, and what to say with which bound when it is not."""
    named = _LIMIT_NAME.fullmatch(line.name or "") is not None
    yield "name", named, gettext_noop("Use lower-case letters, digits, dash, underscore."), 0
    yield "algorithm", line.algorithm in RULES, ONE_OF, list(RULES)
    yield "counted_per", line.counted_per in list(CountedPer), ONE_OF, list(CountedPer)
    rules = rules_of(line.algorithm)
    yield "quota", whole(line.quota), _UNITS, MAX_QUOTA
    for field, most, text in _DEPENDENT:
        value = getattr(line, field)
        if field in rules.fields and (value is not None or field == "lease_seconds"):
            yield field, whole(value, high=most), text, most
    if line.counted_by:
        yield from _value_checks(line)
    if line.shared:
        yield from _share_checks(line)


def _value_checks(line: QuotaLimit) -> Iterable[tuple[str, bool, str, Bound]]:
    """The same for a limit that counts by a value of the call."""
    yield (
        "counted_by",
        _is_place(line.counted_by),
        gettext_noop("Give a JSON Pointer such as /contactId, or a header."),
        0,
    )
    of_keys = line.counted_by.lower() in _SECRET_HEADERS
    yield "counted_by", not of_keys, gettext_noop("Secrets are not counted; choose counted per API key."), 0
    yield "max_values", whole(line.max_values, high=MAX_VALUES), gettext_noop("Give 1 to {bound} values."), MAX_VALUES
    apart = not line.shared
    yield "shared", apart, gettext_noop("A limit that counts by a value cannot be shared among tenants."), 0


def _is_place(counted_by: str) -> bool:
    if not counted_by.startswith("/"):
        return _HEADER.fullmatch(counted_by) is not None
    try:
        return bool(json_pointer.tokens(counted_by))
    except json_pointer.PointerWrong:
        return False


def _share_checks(line: QuotaLimit) -> Iterable[tuple[str, bool, str, Bound]]:
    """The same for the terms of a shared limit."""
    most = rules_of(line.algorithm).capacity_of(line)
    per_connection = line.counted_per == CountedPer.CONNECTION
    yield "shared", per_connection, gettext_noop("Only a limit counted per connection can be shared."), 0
    weighs = whole(line.share_weight, high=MAX_WEIGHT)
    yield "share_weight", weighs, gettext_noop("Give a weight of 1 to {bound}."), MAX_WEIGHT
    floor, ceiling = line.share_floor, line.share_ceiling
    fits = floor == 0 or whole(floor, high=most)
    yield "share_floor", fits, gettext_noop("Give a floor of 0 to {bound}, all that the limit has."), most
    yield (
        "share_ceiling",
        ceiling is None or whole(ceiling),
        gettext_noop("Give 1 to {bound} units, or none."),
        MAX_QUOTA,
    )
    above = ceiling is None or ceiling >= (floor or 0)
    yield "share_ceiling", above, gettext_noop("Give a ceiling not below the floor of {bound}."), floor or 0
    yield "share_class", line.share_class in list(ServiceClass), ONE_OF, list(ServiceClass)


def whole(value: object, *, high: int = MAX_QUOTA) -> bool:
    return isinstance(value, int) and 1 <= value <= high
