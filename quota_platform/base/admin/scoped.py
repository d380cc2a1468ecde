"""What every admin page shares that shows tenants' rows: only those that the person sees, and changes to no others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from quota_platform.base import row_access
from quota_platform.base.admin.autocomplete import RowSelect, RowSelectMultiple
from quota_platform.base.languages import number

_NAMED = 100
"""So many rows of a sort the page that asks before a deletion names; its summary counts all."""


class ScopedChoices:
    """Forms and inlines whose choices are the rows that the person sees."""

    def formfield_for_foreignkey(self: Any, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", RowSelect(db_field, self.admin_site))
        kwargs.setdefault("queryset", _choices(db_field, request))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]

    def formfield_for_manytomany(self: Any, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", RowSelectMultiple(db_field, self.admin_site))
        kwargs.setdefault("queryset", _choices(db_field, request))
        return super().formfield_for_manytomany(db_field, request, **kwargs)  # type: ignore[misc]


def _choices(field: Any, request: HttpRequest) -> QuerySet[Any]:
    model = field.remote_field.model
    rows = model._default_manager.all()
    return row_access.seen(rows, request.user) if row_access.has_rule(model) else rows


class ScopedAdmin(ScopedChoices):
    """A model's pages. A row that the person does not see is answered as one that does not exist."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return row_access.seen(super().get_queryset(request), request.user)  # type: ignore[misc]

    def has_add_permission(self: Any, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and row_access.may_make(request.user, self.model)  # type: ignore[misc]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and _is_own(request, obj)  # type: ignore[misc]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and _is_own(request, obj)  # type: ignore[misc]

    def get_deleted_objects(self: Any, objs: Any, request: HttpRequest) -> Any:
        """Asked before anything is collected: the page that asks names the rows that stand on these."""
        rows = objs if isinstance(objs, QuerySet) else None
        own = (
            row_access.may_change_all(request.user, rows)
            if rows is not None
            else all(_is_own(request, o) for o in objs)
        )
        if not own:
            raise PermissionDenied(row_access.NOT_YOURS)
        named, counts, lacking, protected = super().get_deleted_objects(objs, request)  # type: ignore[misc]
        registered = self.admin_site._registry.items()
        along = {m._meta.verbose_name for m, a in registered if getattr(a, "goes_with_its_owner", False)}
        links = {
            m._meta.verbose_name: m._meta.verbose_name_plural for m in apps.get_models(True) if m._meta.auto_created
        }
        counts = {name: count for name, count in counts.items() if name not in links.values()}
        return _named(named, tuple(f"{capfirst(link)}: " for link in links)), counts, set(lacking) - along, protected

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)  # type: ignore[misc]
        require_own(request, obj)


def _named(rows: list[Any], links: tuple[str, ...]) -> list[Any]:
    """Without the rows that only tie two others together, which nobody has given a name, and not page after page."""
    named = [_named(row, links) if isinstance(row, list) else row for row in rows if not str(row).startswith(links)]
    more = len(named) - _NAMED
    return named if more <= 0 else [*named[:_NAMED], gettext("and {more} more").format(more=number(more))]


def require_own(request: HttpRequest, row: Model) -> None:
    """Asked about a row as it was saved: one that was moved or made out of the person's reach is rolled back."""
    if not row_access.may_change(request.user, row):
        raise PermissionDenied(row_access.NOT_YOURS)


def _is_own(request: HttpRequest, row: Any) -> bool:
    """Remembered for the request: Django asks several times while it makes one page. (Unfold asks with an id.)"""
    if not isinstance(row, Model) or row.pk is None:
        return True
    data: dict[Any, bool] = request.__dict__.setdefault("_own_rows", {})
    key = (type(row), row.pk)
    if key not in data:
        data[key] = row_access.may_change(request.user, row)
    return data[key]


class RowFilter(AutocompleteSelectFilter):
    """A list's filter by another row; one in the address that the person does not see is not named."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            field = choice["form"].fields[self.lookup_kwarg]
            field.queryset = row_access.seen(field.queryset.all(), self.request.user)
            yield choice
