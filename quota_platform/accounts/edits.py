"""Entering into the record what administrators do to accounts and groups: each right that is given or taken."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest

from limiter.record import chain
from limiter.record.chain import Draft

_SECRETS = frozenset({"password", "password1", "password2", "usable_password"})


class RecordedEdits:
    """Put it before the other bases of an admin page. ``recorded_as``: how kinds of entries begin."""

    recorded_as: str

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)  # type: ignore[misc]
        names = [name for name in form.changed_data if name in form.cleaned_data and name not in _SECRETS]
        changes = {name: [_plain(form.initial.get(name)), _plain(form.cleaned_data[name])] for name in names}
        if changes or not change:
            self.enter(request, "changed" if change else "created", form.instance, changes=changes)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        self.enter(request, "deleted", obj)
        super().delete_model(request, obj)  # type: ignore[misc]

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for row in queryset:
            self.enter(request, "deleted", row)
        super().delete_queryset(request, queryset)  # type: ignore[misc]

    def enter(self, request: HttpRequest, act: str, row: Model, **values: Any) -> None:
        """``changes``: each field with its value before and after."""
        kind, actor = f"{self.recorded_as}.{act}", request.user.get_username()
        chain.append([Draft(kind, actor=actor, payload={self.recorded_as: str(row), **values})])


def _plain(value: Any) -> Any:
    if isinstance(value, QuerySet | list):
        return sorted(str(each) for each in value)
    return value if value is None or isinstance(value, bool | int) else str(value)
