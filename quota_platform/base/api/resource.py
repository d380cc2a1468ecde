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
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from quota_platform.base import row_access, versions
from quota_platform.base.api import preconditions
from quota_platform.base.api.errors import Conflict, LengthRequired, PreconditionFailed, Unconditional
from quota_platform.base.api.filters import BoundedSearch, DeclaredFilters, Filter, KnownOrdering
from quota_platform.base.api.paging import PageNumbers
from quota_platform.base.api.permissions import ModelPermissions
from quota_platform.base.api.serializer import explain
from quota_platform.base.reason import ReasonRefused, from_header

M = TypeVar("M", bound=Model)
REASON_HEADER = "X-Change-Reason"


@contextmanager
def whole() -> Iterator[None]:
    """All of a write or none of it; a refusal by the database becomes a conflict."""
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
    pagination_class: type[BasePagination] = PageNumbers
    filters: Mapping[str, Filter] = {}
    list_parameters: tuple[str, ...] = ("page", "page_size", "search", "ordering")

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        row = self.get_object()
        shown = self.get_serializer(row).data
        tags = self.tags(row, shown)
        unless = preconditions.read(request, "If-None-Match")
        if unless is not None and unless.match_weakly(tags):
            return Response(status=304, headers={"ETag": tags[0]})
        return Response(shown, headers={"ETag": tags[0]})

    def get_object(self) -> M:
        row = super().get_object()
        self._require_seen(row)
        return row

    def _require_seen(self, row: M) -> None:
        only = preconditions.read(self.request, "If-Match")
        if only is not None and not (only.any or only.match_strongly(self.tags(row))):
            raise self.stale(row)

    def tags(self, row: M, shown: Any = None) -> list[str]:
        """The row's entity tags, first the one that responses carry.

        They cover hidden values as well as shown ones: a new secret is a new version too.
        """
        if shown is None:
            assert self.serializer_class is not None
            shown = self.serializer_class(row, context=self.get_serializer_context()).data
        return [f'"{versions.mark([versions.columns(row), shown])}"']

    def stale(self, row: M) -> PreconditionFailed:
        """The message for a caller who read another version."""
        return PreconditionFailed()

    def get_queryset(self) -> QuerySet[M]:
        rows = super().get_queryset()
        # The generator of the OpenAPI document asks without a request.
        return row_access.seen(rows, self.request.user) if self.request else rows

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset if self.detail else super().filter_queryset(queryset)


class WriteResource(ReadResource[M]):
    """What all writes share: a bounded body, the reason, and the row locked while it is changed, if it was seen.

    ``replaces_lists``: fields whose lists a PATCH replaces whole, so that it needs If-Match, as every PUT.
    """

    replaces_lists: frozenset[str] = frozenset()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if "Transfer-Encoding" in request.headers and "Content-Length" not in request.headers:
            raise LengthRequired

    def get_queryset(self) -> QuerySet[M]:
        rows = super().get_queryset()
        return versions.locked(rows) if self._changing else rows

    def _require_seen(self, row: M) -> None:
        """Asked with the row locked, so that of two who read the same version only one changes it."""
        if self._changing:
            self._require_own(row)
            if self._has_to_say() and "If-Match" not in self.request.headers:
                raise Unconditional
        super()._require_seen(row)
        unless = preconditions.read(self.request, "If-None-Match") if self._changing else None
        if unless is not None and (unless.any or unless.match_weakly(self.tags(row))):
            raise self.stale(row)

    def _has_to_say(self) -> bool:
        """Whether the write replaces more than it names."""
        body = self.request.data if self.action == "partial_update" else {}
        return self.action == "update" or (isinstance(body, Mapping) and not self.replaces_lists.isdisjoint(body))

    def _tagged(self, response: Response, row: Any) -> Response:
        """The response with the tag of the stored row, computed before anybody else can change it."""
        stored = type(row)._base_manager.get(pk=row.pk)
        response["ETag"] = self.tags(stored)[0]
        return response

    @property
    def _changing(self) -> bool:
        return bool(self.detail and self.request and self.request.method not in SAFE_METHODS)

    def _require_own(self, row: Any) -> None:
        """Checked before a change, and after it for the changed row; a refusal rolls the save back."""
        if not row_access.may_change(self.request.user, row):
            raise PermissionDenied(row_access.NOT_YOURS)

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "reason": self.reason()}

    def reason(self) -> str:
        """Why the change is made, from the header; the serializer's field wins over it."""
        try:
            return from_header(self.request.headers.get(REASON_HEADER, "")) if self.request else ""
        except ReasonRefused as error:
            raise ValidationError({REASON_HEADER: [str(error)]}) from None


class Creates(CreateModelMixin, WriteResource[M]):
    """POST to the list, in one transaction."""

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        if not row_access.may_make(request.user, self.get_queryset().model):
            raise PermissionDenied(row_access.NOT_YOURS)
        with whole():
            response = super().create(request, *args, **kwargs)
            return self._tagged(response, self._saved)

    def perform_create(self, serializer: Any) -> None:
        super().perform_create(serializer)
        self._saved = serializer.instance
        self._require_own(serializer.instance)

    def get_success_headers(self, data: Any) -> dict[str, str]:
        """``Location`` of the row that was made."""
        place = f"{self.request.path.rstrip('/')}/{data[self.lookup_field]}/"
        return {"Location": self.request.build_absolute_uri(place)}


class Updates(UpdateModelMixin, WriteResource[M]):
    """PUT and PATCH of a row, in one transaction."""

    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with whole():
            response = super().update(request, *args, **kwargs)
            return self._tagged(response, self._saved)

    def perform_update(self, serializer: Any) -> None:
        super().perform_update(serializer)
        self._saved = serializer.instance
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
