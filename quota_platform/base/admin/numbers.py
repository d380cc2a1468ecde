"""Columns and fields of the admin that hold numbers: rounded, grouped as the reader's language has it, and bounded."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from django.contrib import admin
from django.core.exceptions import FieldDoesNotExist
from django.core.validators import MinValueValidator
from django.db import models

from quota_platform.base.languages import number

_NOT_NEGATIVE = (models.PositiveIntegerField, models.PositiveSmallIntegerField, models.PositiveBigIntegerField)


def shown(model: type[models.Model], part: Any) -> Any:
    """A name of a field with a number as a column that rounds and groups it; other parts of a page as they are."""
    if isinstance(part, tuple | list):
        return tuple(shown(model, each) for each in part)
    try:
        field = model._meta.get_field(part)
    except (FieldDoesNotExist, TypeError):
        return part
    counts = isinstance(field, models.IntegerField | models.FloatField) and not field.choices
    return _number_of(model, part) if counts else part


@cache
def _number_of(model: type[models.Model], name: str) -> Callable[[models.Model], str]:
    @admin.display(description=model._meta.get_field(name).verbose_name, ordering=name)  # type: ignore[union-attr]
    def column(row: models.Model) -> str:
        return number(getattr(row, name)) or "-"

    column.__name__ = name
    return column


def bounded(field: models.Field) -> dict[str, Any]:
    """What makes a form refuse a number below 0 with the least that the field takes, where Django would name 0."""
    if not isinstance(field, _NOT_NEGATIVE):
        return {}
    least = [each.limit_value for each in field.validators if isinstance(each, MinValueValidator)]
    return {"min_value": max([0, *least])}
