"""What every admin page of a recorded model shares: unfold's look, simple-history's record, and its gaps closed."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import Model
from django.forms import Script
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextareaWidget

from quota_platform.base import row_access
from quota_platform.base.admin import live_on, panels, seconds
from quota_platform.base.admin.autocomplete import is_row_id
from quota_platform.base.admin.guard.admin import GuardedAdmin
from quota_platform.base.admin.inline_names import InlineNames
from quota_platform.base.admin.numbers import bounded, shown
from quota_platform.base.admin.scoped import ScopedAdmin


class RecordedAdmin(InlineNames, GuardedAdmin, ScopedAdmin, SimpleHistoryAdmin, ModelAdmin):
    """An admin page whose object has a history that can be read and gone back to."""

    list_per_page = 50
    show_full_result_count = False
    list_filter_submit = True
    warn_unsaved_form = True
    formfield_overrides: ClassVar[dict[type[models.Field], dict[str, Any]]] = {
        models.TextField: {"widget": UnfoldAdminTextareaWidget({"rows": 3})}
    }
    object_history_template = "quota_platform/history.html"
    object_history_list_template = "quota_platform/history_list.html"
    object_history_form_template = "quota_platform/history_form.html"
    change_form_template = "quota_platform/form_with_panels.html"

    class Media:
        js = (Script("quota_platform/live_on.js", type="module"),)

    def formfield_for_dbfield(self, db_field: models.Field, request: HttpRequest, **kwargs: Any) -> Any:
        typed = {**seconds.typed(db_field), **bounded(db_field)}
        return super().formfield_for_dbfield(db_field, request, **{**kwargs, **typed})

    def get_list_display(self, request: HttpRequest) -> Any:
        return [shown(self.model, each) for each in super().get_list_display(request)]

    def get_urls(self) -> list[URLPattern]:
        added = [
            path(
                f"<int:object_id>/{page.path}/",
                self.admin_site.admin_view(partial(self._respond_with_page, page)),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{page.name}",
            )
            for page in panels.pages_of(self.model)
        ]
        return [*added, *super().get_urls()]

    def _respond_with_page(self, page: panels.AdminPage, request: HttpRequest, object_id: int) -> HttpResponse:
        edits = page.edits and request.method == "POST"
        with self.whole(request) if edits else nullcontext():
            row = self.get_object(request, str(object_id))
            if row is None:
                raise Http404(_("No such record."))
            if not getattr(self, f"has_{page.permission}_permission")(request, row):
                raise PermissionDenied
            if edits and not self.is_seen(request, [row]):
                return HttpResponseRedirect("../change/")
            return page.response(request, row)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        row = kwargs.get("obj")
        context["panels"] = panels.panels_of(self.model, request, row) if row is not None else []
        response: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return response

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        live_on.say(request, obj)
        response: HttpResponse = super().response_add(request, obj, post_url_continue)
        return response

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        live_on.say(request, obj)
        response: HttpResponse = super().response_change(request, obj)
        return response

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        self._refuse_bad_id(object_id)
        self._refuse_unseen(request, object_id)
        response: HttpResponse = super().history_view(request, object_id, extra_context)
        return response

    def history_form_view(
        self, request: HttpRequest, object_id: str, version_id: str, extra_context: Any = None
    ) -> HttpResponse:
        self._refuse_bad_id(object_id)
        self._refuse_bad_id(version_id)
        self._refuse_unseen(request, object_id)
        with self.whole(request):
            row = self.get_object(request, object_id)
            # simple-history hides the button from who may only look, but would take the form from them.
            if request.method == "POST" and self.revert_disabled(request, row):
                raise PermissionDenied
            if request.method == "POST" and row is not None and not self.is_seen(request, [row]):
                return HttpResponseRedirect(request.path)
            carried = {"row_mark": self.row_mark([row] if row is not None else [])}
            response: HttpResponse = super().history_form_view(
                request, object_id, version_id, {**(extra_context or {}), **carried}
            )
        return response

    def _current(self, request: HttpRequest, object_id: str) -> Model | None:
        row: Model | None = self.get_queryset(request).filter(pk=object_id).first()
        return row

    @staticmethod
    def _refuse_bad_id(value: str) -> None:
        """Return 404 for an id that is no number, instead of failing on it."""
        if not is_row_id(value):
            raise Http404(_("No such record."))

    def _refuse_unseen(self, request: HttpRequest, object_id: str) -> None:
        """The history of a row that is gone belongs to no tenant any more: it is for who sees every tenant."""
        if not row_access.sees_every_tenant(request.user) and self._current(request, object_id) is None:
            raise Http404(_("No such record."))
