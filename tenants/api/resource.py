"""The shape of every management route: one model, listed, read and written under Django's model permissions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import IntegrityError, transaction
from django.db.models import Model, ProtectedError, QuerySet
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.filters import BaseFilterBackend
from rest_framework.mixins import CreateModelMixin, DestroyModelMixin, UpdateModelMixin
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from tenants import scope
from tenants.api.errors import Conflict, LengthRequired
from tenants.api.filters import BoundedSearch, DeclaredFilters, Filter, KnownOrdering
from tenants.api.paging import Pages
from tenants.api.permissions import ModelPermissions
from tenants.api.serializer import MAX_REASON, explain

M = TypeVar("M", bound=Model)
REASON_HEADER = "X-Change-Reason"


@contextmanager
def whole() -> Iterator[None]:
    """All of a write or none of it; what the database refuses is told as a conflict."""
    try:
        with transaction.atomic():
            yield
    except ProtectedError as error:
        raise Conflict(f"Still used by {_counted(error.protected_objects)}; move or delete these first.") from None
    except IntegrityError as error:
        # full_clean() found nothing wrong, so another writer came in between.
        raise Conflict from error


class ReadResource(ReadOnlyModelViewSet[M]):
    """List and read; the base of all management routes. Rows of tenants that the person does not see are not there."""

    permission_classes = [ModelPermissions]
    filter_backends: Sequence[type[BaseFilterBackend]] = [DeclaredFilters, BoundedSearch, KnownOrdering]
    pagination_class: type[BasePagination] = Pages
    filters: Mapping[str, Filter] = {}
    list_parameters: tuple[str, ...] = ("page", "page_size", "search", "ordering")

    def get_queryset(self) -> QuerySet[M]:
        rows = super().get_queryset()
        # The generator of the OpenAPI document asks without a request.
        return scope.seen(rows, self.request.user) if self.request else rows

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset if self.detail else super().filter_queryset(queryset)


class WriteResource(ReadResource[M]):
    """What all writes share: a bounded body, the reason, and the row locked while it is changed."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if "Transfer-Encoding" in request.headers and "Content-Length" not in request.headers:
            raise LengthRequired

    def get_queryset(self) -> QuerySet[M]:
        rows = super().get_queryset()
        return rows.select_for_update(of=("self",)) if self._changing else rows

    def get_object(self) -> M:
        row = super().get_object()
        if self._changing:
            self._require_own(row)
        return row

    @property
    def _changing(self) -> bool:
        return bool(self.detail and self.action not in (None, "retrieve", "metadata"))

    def _require_own(self, row: Any) -> None:
        """Asked before a change, and after it about the row as it is then; what was saved is rolled back."""
        if not scope.may_change(self.request.user, row):
            raise PermissionDenied(scope.NOT_YOURS)

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "reason": self.reason()}

    def reason(self) -> str:
        """Why the change is made, from the header; the serializer's field wins over it."""
        reason: str = self.request.headers.get(REASON_HEADER, "") if self.request else ""
        if len(reason) > MAX_REASON or not reason.isprintable():
            raise ValidationError({REASON_HEADER: [f"Use at most {MAX_REASON} printable characters."]})
        return reason


class Creates(CreateModelMixin, WriteResource[M]):
    """POST to the list, in one transaction."""

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        if not scope.may_make(request.user, self.get_queryset().model):
            raise PermissionDenied(scope.NOT_YOURS)
        with whole():
            return super().create(request, *args, **kwargs)

    def perform_create(self, serializer: Any) -> None:
        super().perform_create(serializer)
        self._require_own(serializer.instance)

    def get_success_headers(self, data: Any) -> dict[str, str]:
        """``Location`` of the row that was made."""
        place = f"{self.request.path.rstrip('/')}/{data[self.lookup_field]}/"
        return {"Location": self.request.build_absolute_uri(place)}


class Updates(UpdateModelMixin, WriteResource[M]):
    """PUT and PATCH of a row, in one transaction."""

    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with whole():
            return super().update(request, *args, **kwargs)

    def perform_update(self, serializer: Any) -> None:
        super().perform_update(serializer)
        self._require_own(serializer.instance)


class Deletes(DestroyModelMixin, WriteResource[M]):
    """DELETE of a row, in one transaction."""

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with whole():
            return super().destroy(request, *args, **kwargs)

    def perform_destroy(self, instance: M) -> None:
        explain(instance, self.reason())
        instance.delete()


class Resource(Creates[M], Updates[M], Deletes[M]):
    """All of them."""

    lookup_field = "id"
    lookup_value_regex = "[0-9]{1,18}"


def _counted(rows: Any) -> str:
    counts: dict[str, int] = {}
    for row in rows:
        name = str(type(row)._meta.verbose_name_plural)
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
