"""Narrowing a list: declared filters, search and ordering, each refusing unknown names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.filters import BaseFilterBackend, OrderingFilter, SearchFilter
from rest_framework.request import Request
from rest_framework.views import APIView

from quota_platform.base.api.choices import NamedChoiceField

MAX_TEXT = 200


@dataclass(frozen=True)
class Filter:
    """One query parameter: the lookups it sets, how its text is read, and what the OpenAPI document says of it."""

    lookups: tuple[str, ...]
    description: str
    reader: serializers.Field[Any, Any, Any, Any]
    schema: Mapping[str, Any]
    inverted: bool = False

    def read(self, raw: str) -> Any:
        """The lookup's value; raises DRF's ValidationError."""
        value = self.reader.run_validation(raw)
        return not value if self.inverted else value


def text(lookup: str, description: str, *, max_length: int = MAX_TEXT) -> Filter:
    """An exact text."""
    reader = serializers.CharField(max_length=max_length)
    return Filter((lookup,), description, reader, {"type": "string", "minLength": 1, "maxLength": max_length})


def flag(lookup: str, description: str, *, inverted: bool = False) -> Filter:
    """True or false; ``inverted`` for a lookup that asks the opposite (``revoked`` for ``revoked_at__isnull``)."""
    return Filter((lookup,), description, serializers.BooleanField(), {"type": "boolean"}, inverted)


def moment(lookup: str, description: str, *more: str) -> Filter:
    return Filter((lookup, *more), description, serializers.DateTimeField(), {"type": "string", "format": "date-time"})


def number(lookup: str, description: str) -> Filter:
    """A row's number."""
    reader = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    return Filter((lookup,), description, reader, {"type": "integer", "minimum": 1})


def choice(lookup: str, description: str, values: Iterable[str]) -> Filter:
    names = list(values)
    return Filter((lookup,), description, NamedChoiceField(names), {"type": "string", "enum": names})


class DeclaredFilters(BaseFilterBackend):
    """The view's ``filters``; an unknown parameter is an error, for a filter misspelt would show every row."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: APIView) -> QuerySet[Any]:
        filters: Mapping[str, Filter] = getattr(view, "filters", {})
        known = {*filters, *getattr(view, "list_parameters", ())}
        errors: dict[str, Any] = {
            name: [f"Unknown parameter; known are {', '.join(sorted(known))}."]
            for name in request.query_params
            if name not in known
        }
        lookups: dict[str, Any] = {}
        for name, declared in filters.items():
            if name in request.query_params:
                try:
                    lookups |= dict.fromkeys(declared.lookups, declared.read(request.query_params[name]))
                except ValidationError as error:
                    errors[name] = error.detail
        if errors:
            raise ValidationError(errors)
        return queryset.filter(**lookups)

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": declared.description,
                "schema": dict(declared.schema),
            }
            for name, declared in getattr(view, "filters", {}).items()
        ]


class BoundedSearch(SearchFilter):
    """``?search=``: every word must occur in one of the view's ``search_fields``."""

    def get_search_terms(self, request: Request) -> list[str]:
        if len(request.query_params.get(self.search_param, "")) > MAX_TEXT:
            raise ValidationError({self.search_param: [f"Use at most {MAX_TEXT} characters."]})
        try:
            return super().get_search_terms(request)
        except ValidationError as error:
            raise ValidationError({self.search_param: error.detail}) from None

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        fields = ", ".join(_public(name) for name in getattr(view, "search_fields", ()))
        return [
            {
                "name": self.search_param,
                "in": "query",
                "required": False,
                "description": f"Words that must occur in: {fields}.",
                "schema": {"type": "string", "maxLength": MAX_TEXT},
            }
        ]


class KnownOrdering(OrderingFilter):
    """``?ordering=``: fields of the view's ``ordering_fields``, ``-`` before one for descending."""

    def remove_invalid_fields(
        self, queryset: QuerySet[Any], fields: Iterable[str], view: APIView, request: Request
    ) -> list[str]:
        known = list(_ordering_names(view))
        wanted = list(fields)
        unknown = [term for term in wanted if term.removeprefix("-") not in known]
        if unknown or len({term.removeprefix("-") for term in wanted}) < len(wanted):
            raise ValidationError({self.ordering_param: [f"Name each of these at most once: {', '.join(known)}."]})
        lookups = _ordering_names(view)
        return [("-" if term.startswith("-") else "") + lookups[term.removeprefix("-")] for term in wanted]

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        names = ", ".join(_ordering_names(view))
        return [
            {
                "name": self.ordering_param,
                "in": "query",
                "required": False,
                "description": f"Comma separated, `-` before a name for descending: {names}.",
                "schema": {"type": "string"},
            }
        ]


def _public(lookup: str) -> str:
    """``tenant__tenant_id`` is known to callers as ``tenant``."""
    return lookup.split("__")[0]


def _ordering_names(view: APIView) -> dict[str, str]:
    fields: Sequence[str] = getattr(view, "ordering_fields", ())
    return {_public(lookup): lookup for lookup in fields}
