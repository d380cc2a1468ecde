"""Exports in the admin: ordered in a form, watched, cancelled, fetched."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from limiter.reports import access, build, orders, selection, streaming
from limiter.reports.models import Export
from quota_platform.base.admin.display import display
from quota_platform.base.admin.names_field import NamesField
from quota_platform.base.kept import in_words

_NAMES = ("tenants", "actions", "policies")
_COLOURS = {"done": "success", "failed": "danger", "building": "info", "waiting": "info", "expired": "warning"}


class ExportForm(forms.ModelForm):
    """What to export. Refuses here what could not be built."""

    tenants = NamesField(
        label=_("Tenants"), required=False, help_text=_("Tenant IDs, comma separated. Empty: all that you may see.")
    )
    actions = NamesField(label=_("Actions"), required=False, help_text=_("Action IDs, comma separated. Empty: all."))
    policies = NamesField(
        label=_("Policies"),
        required=False,
        help_text=_("Names of policies, comma separated; for throttle events only."),
    )

    class Meta:
        model = Export
        fields = ("kind", "format", "since", "until", *_NAMES)

    def clean(self) -> Any:
        data = super().clean()
        if not self.errors:
            asked = Export(**{name: self.cleaned_data[name] for name in self.Meta.fields})
            try:
                selection.check(asked)
            except ValidationError as error:
                raise ValidationError(error.message_dict) from None
        return data


@admin.register(Export)
class ExportAdmin(ModelAdmin):
    """A person's own exports; a superuser's list has all."""

    form = ExportForm
    list_display = ("created_at", "kind", "format", "since", "until", "requested_name", "status", "rows", "file")
    list_filter = ("state", "kind")
    list_per_page = 50
    show_full_result_count = False
    actions = ("cancel_selected",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Export]:
        rows: QuerySet[Export] = super().get_queryset(request) & access.exports_of(request.user)
        return rows

    def get_fields(self, request: HttpRequest, obj: Export | None = None) -> tuple[str, ...]:
        asked = ("kind", "format", "since", "until", *_NAMES)
        if obj is None:
            return asked
        return (*asked, "requested_name", "status", "rows", "file", "finished_at", "expires_at", "why_failed")

    def has_change_permission(self, request: HttpRequest, obj: Export | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Export | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Export, form: Any, change: bool) -> None:
        orders.order(obj, user=request.user)

    @display(description=_("state"), label=_COLOURS)
    def status(self, obj: Export) -> str:
        return obj.state

    @display(description=_("error"))
    def why_failed(self, obj: Export) -> str:
        return in_words(obj.error) or "-"

    @display(description=_("file"))
    def file(self, obj: Export) -> str:
        if obj.state != Export.State.DONE:
            return "-"
        file, data = (reverse(f"admin:limiter_export_{name}", args=[obj.pk]) for name in ("download", "manifest"))
        shown = (file, gettext("Download"), data, gettext("Manifest"))
        return format_html('<a href="{}">{}</a> · <a href="{}">{}</a>', *shown)

    def get_urls(self) -> list[URLPattern]:
        guarded = self.admin_site.admin_view
        return [
            path("<uuid:pk>/download/", guarded(self.download_view), name="limiter_export_download"),
            path("<uuid:pk>/manifest/", guarded(self.manifest_view), name="limiter_export_manifest"),
            *super().get_urls(),
        ]

    def download_view(self, request: HttpRequest, pk: Any) -> StreamingHttpResponse:
        return streaming.download(request, self._done(request, pk))

    def manifest_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        return streaming.manifest(self._done(request, pk))

    @admin.action(description=_("Cancel the selected exports"), permissions=["add"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[Export]) -> None:
        for export in queryset:
            build.cancel(export)

    def _own(self, request: HttpRequest, pk: Any) -> Export:
        export = self.get_queryset(request).filter(pk=pk).first()
        if export is None or not self.has_view_permission(request, export):
            raise Http404
        return export

    def _done(self, request: HttpRequest, pk: Any) -> Export:
        export = self._own(request, pk)
        if export.state != Export.State.DONE or not access.may_download(request.user, export):
            raise Http404
        return export
