"""A row as JSON and back: unknown fields refused, and the model's own rules asked before anything is saved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

from django.core.exceptions import NON_FIELD_ERRORS
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import models
from django.db.models import Model, UniqueConstraint
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.fields import get_error_detail
from rest_framework.settings import api_settings
from rest_framework.validators import UniqueValidator

from quota_platform.base.api.choices import NamedChoiceField
from quota_platform.base.reason import MAX_REASON, ReasonRefused
from quota_platform.base.reason import check as check_reason
from quota_platform.base.versions import columns

M = TypeVar("M", bound=Model)


class FiniteFloatField(serializers.FloatField):
    """A number; DRF's own also takes the texts "nan" and "inf", which pass every comparison."""

    def to_internal_value(self, data: Any) -> float:
        value = super().to_internal_value(data)
        if not math.isfinite(value):
            self.fail("invalid")
        return value


class ReasonField(serializers.CharField):
    """Why a change is made, in any language, on one line."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": MAX_REASON, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        try:
            return check_reason(super().to_internal_value(data))
        except ReasonRefused as error:
            raise ValidationError([str(error)]) from None


class StrictBody(serializers.Serializer[Any]):
    """The body of an act upon a row: unknown fields are refused."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = [str(name) for name in data if name not in self.fields] if isinstance(data, Mapping) else []
        if unknown:
            raise ValidationError({name: ["There is no such field."] for name in unknown})
        return super().to_internal_value(data)


class StrictSerializer(serializers.ModelSerializer[M]):
    """Refuses fields it does not know, changes of fields the platform sets, and changes of ``fixed`` fields."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.FloatField: FiniteFloatField,
        # The framework's field for them asks for "a valid biginteger", a word of databases.
        models.BigIntegerField: serializers.IntegerField,
    }
    serializer_choice_field = NamedChoiceField
    fixed: Mapping[str, str] = {}
    """Fields that are given when the row is made and cannot change -> what to do instead."""

    def build_standard_field(self, field_name: str, model_field: Any) -> Any:
        # Uniqueness is asked by full_clean(), in the model's words; asking here too would cost a query each.
        field_class, kwargs = super().build_standard_field(field_name, model_field)
        if "validators" in kwargs:
            kwargs["validators"] = [v for v in kwargs["validators"] if not isinstance(v, UniqueValidator)]
        return field_class, kwargs

    def to_internal_value(self, data: Any) -> Any:
        errors: dict[str, Any] = self._unwritable(data) if isinstance(data, Mapping) else {}
        try:
            values = super().to_internal_value(data)
        except ValidationError as error:
            errors = {**(error.detail if isinstance(error.detail, dict) else {}), **errors}
        if errors:
            raise ValidationError(errors)
        return values

    def _unwritable(self, data: Mapping[str, Any]) -> dict[str, list[str]]:
        errors: dict[str, list[str]] = {}
        current = self.to_representation(self.instance) if isinstance(self.instance, Model) else {}
        for name, value in data.items():
            field = self.fields.get(name)
            if field is None:
                errors[str(name)] = ["There is no such field."]
            elif field.read_only and (name not in current or current[name] != value):
                errors[name] = ["The platform sets this; leave it out, or send it back as you read it."]
            elif name in self.fixed and name in current and current[name] != value:
                errors[name] = [self.fixed[name]]
        return errors


class RowSerializer(StrictSerializer[M]):
    """Fills a row, asks its ``full_clean()``, and saves that very row with the reason in its history.

    A subclass whose model has a ``reason`` of its own sets ``reason = None`` here; that reason goes to the history.
    """

    row: M

    reason = ReasonField(write_only=True, required=False, allow_blank=True, help_text="Why; kept in the history.")

    def validate(self, attrs: Any) -> Any:
        row: Any = self.instance if isinstance(self.instance, Model) else self.model()
        values = dict(attrs)
        self.change_reason: str = values.get("reason") or self.context.get("reason", "")
        if self.fields["reason"].write_only:
            values.pop("reason", None)
        if self.instance is not None:
            values = {name: value for name, value in self._replaced(values).items() if name not in self.fixed}
        explain(row, self.change_reason)
        self.row, self.before = row, columns(row)
        self.fill(row, values)
        self.check()
        return attrs

    def _replaced(self, values: dict[str, Any]) -> dict[str, Any]:
        """PUT replaces: a field that it leaves out gets the model's default. PATCH keeps it."""
        if self.partial:
            return values
        columns = {column.name: column for column in self.model._meta.concrete_fields}
        left_out = [name for name, field in self.fields.items() if name not in values and not field.read_only]
        return {**{name: columns[name].get_default() for name in left_out if name in columns}, **values}

    @property
    def model(self) -> type[Model]:
        model: type[Model] = self.Meta.model
        return model

    def fill(self, row: M, values: dict[str, Any]) -> None:
        """Put the values into the row; nothing is saved here."""
        for name, value in values.items():
            setattr(row, name, value)

    def check(self) -> None:
        """Ask the model; subclasses ask for what hangs on the row, too."""
        clean(self.row)

    def create(self, validated_data: Any) -> M:
        self.row.save()
        return self.row

    def update(self, instance: M, validated_data: Any) -> M:
        if self.changed():
            self.row.save()
        return self.row

    def changed(self) -> bool:
        """Whether there is anything to save: a repeated PUT makes no history."""
        return columns(self.row) != self.before


def explain(row: Any, reason: str) -> None:
    """Give the history the reason of the row's next save or deletion."""
    row._change_reason = reason or None


def clean(row: Model, *, exclude: set[str] | None = None) -> None:
    """``row.full_clean()``, its complaints raised as DRF's, each under the name of a field where there is one."""
    try:
        row.full_clean(exclude=exclude)
    except DjangoValidationError as error:
        raise ValidationError(by_field(row, error)) from None


def by_field(row: Model, error: DjangoValidationError) -> dict[str, Any]:
    """Django names no field when a unique constraint has a message of its own; the constraint's last field is it."""
    fields = {
        str(constraint.get_violation_error_message()): constraint.fields[-1]
        for constraint in row._meta.constraints
        if isinstance(constraint, UniqueConstraint) and constraint.fields
    }
    errors: dict[str, Any] = {}
    details: Any = get_error_detail(error)
    if not isinstance(details, dict):
        details = {NON_FIELD_ERRORS: details}
    for name, messages in details.items():
        for message in messages:
            place = name if name != NON_FIELD_ERRORS else fields.get(str(message), api_settings.NON_FIELD_ERRORS_KEY)
            errors.setdefault(place, []).append(message)
    return errors
