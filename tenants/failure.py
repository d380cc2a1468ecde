"""A 2xx response with an error inside: the rule by which an action finds it, and the status that it counts as."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from django.db import models
from django.utils.translation import gettext as _

from quota_platform.base import json_pointer

MAX_VALUES = 32
MAX_VALUE_CHARS = 200


class When(models.TextChoices):
    """What the value at the pointer has to be like for the response to be a failure."""

    FILLED = "filled", "a value is there"
    EMPTY = "empty", "no value is there"
    ONE_OF = "one_of", "the value is one of these"
    NONE_OF = "none_of", "the value is none of these"


class CountsAs(models.TextChoices):
    """The status whose meaning the failure has."""

    ERROR = "error", "an error, like a 500"
    OVERLOAD = "overload", "turned away for load, like a 429"


STATUS = {CountsAs.ERROR.value: 500, CountsAs.OVERLOAD.value: 429}
_NEEDS_VALUES = frozenset({When.ONE_OF.value, When.NONE_OF.value})


class Judged(Protocol):
    """An action, as a row or as a spec."""

    @property
    def failure_at(self) -> str: ...
    @property
    def failure_when(self) -> str: ...
    @property
    def failure_values(self) -> Iterable[Any]: ...
    @property
    def failure_counts_as(self) -> str: ...


def status_of(action: Judged, payload: Any) -> int | None:
    """The status that a 2xx response with this body counts as; None for its own.

    A value counts as there unless it is missing, null, false, 0 or empty: APIs write "no error" in each of these ways.
    """
    found = json_pointer.find(payload, action.failure_at)
    if action.failure_when in _NEEDS_VALUES:
        failed = any(_same(found, value) for value in action.failure_values)
        failed ^= action.failure_when == When.NONE_OF.value
    else:
        failed = bool(found) == (action.failure_when == When.FILLED.value)
    return STATUS.get(action.failure_counts_as) if failed else None


def _same(found: Any, value: Any) -> bool:
    """As JSON compares: true is no 1."""
    return bool(found == value) and isinstance(found, bool) == isinstance(value, bool)


def faults(action: Judged) -> Iterator[tuple[str, str]]:
    """The fields that do not work together, each with its remedy."""
    if action.failure_at:
        try:
            json_pointer.tokens(action.failure_at)
        except json_pointer.PointerWrong as error:
            yield "failure_at", str(error)
    if not _are_values(action.failure_values):
        said = _('Write a list of at most {most} texts or numbers, true or false, e.g. ["ERROR", 7].')
        yield "failure_values", said.format(most=MAX_VALUES)
    elif action.failure_at and action.failure_when in _NEEDS_VALUES and not action.failure_values:
        yield "failure_values", _("Write the values to compare with, or choose whether a value is there.")


def _are_values(value: object) -> bool:
    if not isinstance(value, list) or len(value) > MAX_VALUES:
        return False
    return all(isinstance(one, bool | int | float) or _is_short_text(one) for one in value)


def _is_short_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_VALUE_CHARS
