"""Cutting a list into pages: numbered ones for what people edit, a keyset for what only grows."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import DateTimeField, Model, Q, QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination, PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

PAGE_SIZE = 50
MAX_PAGE_SIZE = 500
_SIZE_PARAMETER: dict[str, Any] = {
    "name": "page_size",
    "in": "query",
    "required": False,
    "description": "Rows per page.",
    "schema": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": PAGE_SIZE},
}


def page_size(request: Request) -> int:
    """The ``page_size`` asked for; a wrong one is an error, not the default."""
    asked = request.query_params.get("page_size", str(PAGE_SIZE))
    if not (asked.isascii() and asked.isdigit() and len(asked) <= 4 and 1 <= int(asked) <= MAX_PAGE_SIZE):
        raise ValidationError({"page_size": [f"Give a whole number from 1 to {MAX_PAGE_SIZE}."]})
    return int(asked)


class PageNumbers(PageNumberPagination):
    """``?page=2``: with a count, for lists that people edit."""

    page_size = PAGE_SIZE
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE

    def get_page_size(self, request: Request) -> int:
        return page_size(request)

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        page = {
            "name": self.page_query_param,
            "in": "query",
            "required": False,
            "description": "Which page, from 1; a page past the end is 404.",
            "schema": {"type": "integer", "minimum": 1},
        }
        return [page, _SIZE_PARAMETER]


class Keyset(BasePagination):
    """``?cursor=…``: newest first by ``(at, id)``, without a count; page 10,000 costs what page 1 costs."""

    def paginate_queryset(
        self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        assert isinstance(queryset, QuerySet), "a keyset needs rows of the database"
        self.request = request
        size = page_size(request)
        rows = queryset.order_by("-at", "-id")
        if cursor := request.query_params.get("cursor"):
            at, pk = _decode(cursor)
            rows = rows.filter(at__lte=at).exclude(Q(at=at, pk__gte=pk))
        found = list(rows[: size + 1])
        self.last: Model | None = found[size - 1] if len(found) > size else None
        return found[:size]

    def get_paginated_response(self, data: Any) -> Response:
        following = None
        if self.last is not None:
            following = replace_query_param(self.request.build_absolute_uri(), "cursor", _encode(self.last))
        return Response({"next": following, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["next", "results"],
            "properties": {
                "next": {"type": "string", "nullable": True, "format": "uri", "description": "The older rows."},
                "results": schema,
            },
        }

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        cursor = {
            "name": "cursor",
            "in": "query",
            "required": False,
            "description": "From `next` of the page before.",
            "schema": {"type": "string"},
        }
        return [cursor, _SIZE_PARAMETER]


def _encode(row: Any) -> str:
    return base64.urlsafe_b64encode(f"{row.at.isoformat()}|{row.pk}".encode()).decode()


def _decode(cursor: str) -> tuple[Any, int]:
    try:
        at, pk = base64.urlsafe_b64decode(cursor.encode()).decode().split("|")
        moment = DateTimeField().to_python(at)
        number = int(pk)
        if moment is None or moment.tzinfo is None or not 0 <= number < 2**63:
            raise ValueError
    except (ValueError, binascii.Error, DjangoValidationError):
        raise ValidationError({"cursor": ["Use `next` of an earlier page as it is."]}) from None
    return moment, number
