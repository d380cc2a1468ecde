"""Objections of features to an edit of a row, also of a room below: asked by its model's ``clean``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model

Fault = Callable[[Any], Mapping[str, str]]
"""Of a row that is about to be saved: field -> message with the remedy; empty if it may be."""

_declared: dict[type[Model], list[Fault]] = defaultdict(list)


def declare(model: type[Model], fault: Fault) -> None:
    """Called once for each, when features are installed."""
    _declared[model].append(fault)


def of(row: Model) -> dict[str, str]:
    """Every objection to this row."""
    wrong: dict[str, str] = {}
    for fault in _declared[type(row)]:
        wrong |= fault(row)
    return wrong


def check(row: Model) -> None:
    """Raise ValidationError with every objection to this row."""
    if wrong := of(row):
        raise ValidationError(wrong)
