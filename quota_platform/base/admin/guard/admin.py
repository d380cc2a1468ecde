"""The base of every admin page that edits or deletes: no save undoes an unseen change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import Any

from django.contrib import messages
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.options import InlineModelAdmin
from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.db import connections, router, transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from quota_platform.base import versions
from quota_platform.base.admin.guard import gone, stale
from quota_platform.base.admin.guard.seen import FIELD, ROW, Lines, SeenField, SeenRow

NOTHING_SAVED = _("Nothing was saved: somebody else has saved this meanwhile. See above, then save again.")
CHANGED = _("Nothing was done: this has changed since the page showed it. Check it again, then confirm.")


class GuardedAdmin:
    """Put it before the other bases. ``bookkeeping``: columns that the platform keeps by itself and nobody edits."""

    bookkeeping: tuple[str, ...] = ()
    change_form_before_template = "quota_platform/seen.html"

    # One row at a time.

    def get_object(self: Any, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """A save locks the row until it is done, so that of two only one saves it."""
        row = super().get_object(request, object_id, from_field)  # type: ignore[misc]
        if row is None or request.method != "POST" or not connections[row._state.db].in_atomic_block:
            return row
        return versions.locked(self.model._base_manager.filter(pk=row.pk)).first()

    def whole(self: Any, request: HttpRequest) -> Any:
        """One transaction for a POST; a GET takes none, which in SQLite would keep everybody from writing."""
        if request.method != "POST":
            return nullcontext()
        return transaction.atomic(using=router.db_for_write(self.model))

    def row_mark(self, rows: Iterable[Model], *also: Any) -> str:
        """A mark of the rows as they are, and of what else was shown of them."""
        held = [
            {name: value for name, value in versions.columns(row).items() if name not in self.bookkeeping}
            for row in rows
        ]
        return versions.mark([held, *also])

    def is_seen(self, request: HttpRequest, rows: Iterable[Model], *also: Any) -> bool:
        """Whether the posted question was about the rows as they are; reports if it was not."""
        if request.POST.get(ROW) == self.row_mark(rows, *also):
            return True
        messages.warning(request, CHANGED)
        return False

    # The form.

    def changeform_view(
        self: Any, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if request.method != "POST" or object_id is None:
            return super().changeform_view(request, object_id, form_url, extra_context)  # type: ignore[misc, no-any-return]
        with self.whole(request):
            row = self.get_object(request, unquote(object_id))
            if row is None and self.has_change_permission(request):
                return self._gone(request)  # type: ignore[no-any-return]
            if row is not None and self.has_change_permission(request, row):
                self._refuse_stale(request, row)
            response: HttpResponse = super().changeform_view(request, object_id, form_url, extra_context)  # type: ignore[misc]
        if _stale(request) is not None and response.status_code == 200:
            response.status_code = 409
        return response

    def _gone(self: Any, request: HttpRequest) -> HttpResponse:
        """Nothing can be saved, and the entries are not lost."""
        blank = self.model()
        form = self.get_form(request, blank, change=True)(instance=blank)
        shown = self._put(request, blank, form, self._blank_sets(request, blank))
        at = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}"
        context = {
            **self.admin_site.each_context(request),
            "title": _("This {row} is gone").format(row=self.opts.verbose_name),
            "opts": self.opts,
            "entries": gone.entries(shown, request.POST),
            "list_url": reverse(f"{at}_changelist"),
            "add_url": reverse(f"{at}_add") if self.has_add_permission(request) else "",
        }
        return TemplateResponse(request, "quota_platform/gone.html", context, status=404)

    def _refuse_stale(self: Any, request: HttpRequest, row: Model) -> None:
        found = stale.compare(self._shown(request, row), request.POST)
        if found is not None:
            request.stale = found  # type: ignore[attr-defined]
            request.POST = found.data

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        made = super().get_form(request, obj, change=change, **kwargs)  # type: ignore[misc]
        return _refusing(made) if change and _stale(request) is not None else made

    def render_change_form(
        self: Any,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        *args: Any,
        **kwargs: Any,
    ) -> HttpResponse:
        row = kwargs.get("obj")
        if row is not None:
            context["seen"] = self._carried(request, context, row)
            context["stale"] = _stale(request)
            context["row_mark"] = self.row_mark([self.model._base_manager.get(pk=row.pk)])
        response: HttpResponse = super().render_change_form(request, context, add, change, *args, **kwargs)  # type: ignore[misc]
        return response

    def _carried(self: Any, request: HttpRequest, context: Any, row: Model) -> str:
        """The marks that the form brings back: an invalid form shows the entries and keeps its earlier marks."""
        if (found := _stale(request)) is not None:
            return found.seen.text()
        if request.method == "POST":
            return SeenRow.read(request.POST.get(FIELD, "")).text()
        sets = ((each.formset, each.opts) for each in context["inline_admin_formsets"])
        shown: SeenField = self._put(request, row, context["adminform"].form, sets)
        return shown.seen().text()

    def _shown(self: Any, request: HttpRequest, row: Model) -> SeenField:
        """The form of the row as it is stored, with nothing typed in it."""
        form = self.get_form(request, row, change=True)(instance=self.model._base_manager.get(pk=row.pk))
        return self._put(request, row, form, self._blank_sets(request, row))  # type: ignore[no-any-return]

    def _blank_sets(self: Any, request: HttpRequest, row: Model) -> Iterator[tuple[Any, InlineModelAdmin]]:
        prefixes: dict[str, int] = {}
        for made, inline in self.get_formsets_with_inlines(request, row):
            prefix = made.get_default_prefix()
            prefixes[prefix] = prefixes.get(prefix, 0) + 1
            prefix = prefix if prefixes[prefix] == 1 else f"{prefix}-{prefixes[prefix]}"
            asked = self.get_formset_kwargs(request, row, inline, prefix)
            yield (
                made(**{name: each for name, each in asked.items() if name not in ("data", "files", "save_as_new")}),
                inline,
            )

    def _put(self, request: HttpRequest, row: Model, form: Any, sets: Iterable[tuple[Any, Any]]) -> SeenField:
        lines = tuple(line for formset, inline in sets if (line := _lines(request, row, formset, inline)) is not None)
        return SeenField(form, lines, row, self.bookkeeping)

    # Deleting.

    def delete_view(self: Any, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        with self.whole(request):
            row = self.get_object(request, unquote(object_id)) if request.method == "POST" else None
            if row is not None and self.has_delete_permission(request, row):
                named, _models, _permissions, protected = self.get_deleted_objects([row], request)
                if not protected and not self.is_seen(request, [row], named):
                    return HttpResponseRedirect(request.get_full_path())
            return super().delete_view(request, object_id, extra_context)  # type: ignore[misc, no-any-return]

    def render_delete_form(self, request: HttpRequest, context: Any) -> HttpResponse:
        context["row_mark"] = self.row_mark([context["object"]], context["deleted_objects"])
        return super().render_delete_form(request, context)  # type: ignore[misc, no-any-return]

    def get_actions(self, request: HttpRequest) -> Any:
        actions = super().get_actions(request)  # type: ignore[misc]
        if "delete_selected" in actions:
            actions["delete_selected"] = (_delete_selected, *actions["delete_selected"][1:])
        return actions


def _delete_selected(admin: Any, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
    """Django's action, which confirms and then deletes: it deletes only the rows that it showed."""
    with admin.whole(request):
        chosen = admin.model._base_manager.filter(pk__in=[row.pk for row in queryset])
        rows = list(versions.locked(chosen.order_by("pk")))
        named = admin.get_deleted_objects(queryset, request)[0]
        if request.POST.get("post") and not admin.is_seen(request, rows, named):
            request.POST = _without(request.POST, "post")  # type: ignore[assignment]
        reply: HttpResponse | None = delete_selected(admin, request, queryset)
    if isinstance(reply, TemplateResponse) and reply.context_data is not None:
        reply.context_data["row_mark"] = admin.row_mark(rows, named)
    return reply


def _without(posted: QueryDict, name: str) -> QueryDict:
    rest = posted.copy()
    del rest[name]
    return rest


def _stale(request: HttpRequest) -> stale.Stale | None:
    return getattr(request, "stale", None)


def _refusing(form: Any) -> Any:
    """The form, which shows its usual errors and that it is stale."""

    def full_clean(self: Any) -> None:
        form.full_clean(self)
        if self.is_bound:
            self.add_error(None, NOTHING_SAVED)

    return type(form.__name__, (form,), {"full_clean": full_clean})


def _lines(request: HttpRequest, row: Model, formset: Any, inline: Any) -> Lines | None:
    """What a person can do below the form, None where they can only look."""
    may_change = inline.has_change_permission(request, row)
    may_delete = inline.can_delete and inline.has_delete_permission(request, row)
    if not (may_change or may_delete or inline.has_add_permission(request, row)):
        return None
    shown = flatten_fieldsets(inline.get_fieldsets(request, row)) if may_change else []
    readonly = inline.get_readonly_fields(request, row)
    fields = tuple(name for name in shown if name not in readonly and name in formset.form.base_fields)
    return Lines(formset, str(inline.verbose_name), fields)
