"""The texts of models are looked up in the catalogues: names, help, choices and what validators and constraints say.

They are marked in one place, when all models are there, so that no field of a new model is forgotten. Migrations go on
reading the English texts that stand in the models. Choices that a function returns are marked by the function: a
migration names it, so that a choice more needs no migration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Model
from django.utils.choices import CallableChoiceIterator
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy


def translate(models: Iterable[type[Model]]) -> None:
    """Let every text of these models be that of the reader's language."""
    for model in models:
        for place, name in _places(model):
            setattr(place, name, gettext_lazy(str(getattr(place, name))))
        for field in _fields(model):
            if field.choices and not isinstance(field.choices, CallableChoiceIterator):
                field.choices = [(value, _lazy(label, value)) for value, label in field.flatchoices]


def texts(models: Iterable[type[Model]]) -> Iterator[str]:
    """All these texts in the language of the moment."""
    for model in models:
        yield from (str(getattr(place, name)) for place, name in _places(model))
        choices = (choice for field in _fields(model) for choice in field.flatchoices or ())
        yield from (str(label) for value, label in choices if label and not _is_name(label, value))


def _lazy(label: Any, value: Any) -> Any:
    keep = isinstance(label, Promise) or not label or _is_name(label, value)
    return label if keep else gettext_lazy(str(label))


def _is_name(label: Any, value: Any) -> bool:
    """Whether a choice is called by its value, such as ``DELETE``: a name that is the same in every language."""
    return isinstance(value, str) and value.isupper() and str(label).upper() == value


def _places(model: type[Model]) -> Iterator[tuple[Any, str]]:
    """What holds a text, and the attribute that it is."""
    yield model._meta, "verbose_name"
    yield model._meta, "verbose_name_plural"
    for field in _fields(model):
        yield field, "verbose_name"
        if field.help_text:
            yield field, "help_text"
        for validator in field._validators:
            if "message" in vars(validator):
                yield validator, "message"
    for constraint in model._meta.constraints:
        # Django has its own words for one that has none.
        if constraint.violation_error_message is not constraint.default_violation_error_message:
            yield constraint, "violation_error_message"


def _fields(model: type[Model]) -> list[Any]:
    return [field for field in (*model._meta.local_fields, *model._meta.local_many_to_many) if not field.primary_key]
