"""Exports in the admin: ordered in a form, watched, cancelled, fetched."""

from __future__ import annotations

import json
from datetime import UTC, tzinfo
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.forms import Script
from django.forms.utils import from_current_timezone
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget

from limiter.reports import access, build, orders, periods, pickers, selection, streaming
from limiter.reports.admin.names import name_fields, offer_names
from limiter.reports.admin.zone_field import ZoneField, offer_zones, own_zone
from limiter.reports.models import Export
from limiter.reports.periods import Period
from quota_platform.base import time_zones
from quota_platform.base.admin.autocomplete import is_row_id
from quota_platform.base.admin.display import display
from quota_platform.base.admin.numbers import shown
from quota_platform.base.kept import in_words

_ASKED = ("kind", "format", "time_zone", "since", "until", *pickers.KINDS)
_COLOURS = {"done": "success", "failed": "danger", "building": "info", "waiting": "info", "expired": "warning"}


class ExportForm(forms.ModelForm):
    """What to export. Refuses here what could not be built."""

    period = forms.ChoiceField(
        label=_("Period"),
        required=False,
        initial=Period.YESTERDAY,
        choices=[*Period.choices, ("", _("from … until …"))],
        help_text=_("Whole days of the time zone."),
        widget=UnfoldAdminSelectWidget(attrs={"data-applies": json.dumps({"": ["since", "until"]})}),
    )
    time_zone = ZoneField(help_text=_("Of the days, of the start and end below, and of the times in the file."))
    tenants, actions, policies = name_fields(_("Empty: all that you may see."))
    own_zone = ""

    class Meta:
        model = Export
        fields = _ASKED

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in {"since", "until"} & set(self.fields):
            self.fields[name].required = False
        offer_names(self)
        offer_zones(self, self.own_zone)

    def clean(self) -> Any:
        data = super().clean()
        if "time_zone" not in self.errors:
            self._fill_times(time_zones.zone(self.cleaned_data["time_zone"]))
        for name in ("since", "until"):
            if name not in self.errors and not self.cleaned_data.get(name):
                self.add_error(name, _("Give a start and an end, or choose a period such as yesterday."))
        if not self.errors:
            asked = Export(**{name: self.cleaned_data[name] for name in _ASKED})
            try:
                selection.check(asked)
            except ValidationError as error:
                raise ValidationError(error.message_dict) from None
        return data

    def _fill_times(self, zone: tzinfo) -> None:
        """Since and until: of the period, or those that were typed, which are times of the zone."""
        if period := self.cleaned_data.get("period"):
            now = timezone.now().astimezone(zone)
            self.cleaned_data["since"], self.cleaned_data["until"] = periods.span(period, now)
            return
        for name in ("since", "until"):
            typed = self.cleaned_data.get(name)
            if typed is None:
                continue
            try:
                with timezone.override(zone):
                    self.cleaned_data[name] = from_current_timezone(typed.replace(tzinfo=None)).astimezone(UTC)
            except ValidationError as error:
                self.add_error(name, error)


@admin.register(Export)
class ExportAdmin(ModelAdmin):
    """A person's own exports; a superuser's list has all."""

    form = ExportForm
    list_display = ("created_at", "kind", "format", "since", "until", "requested_name", "status", "rows", "file")
    list_filter = ("state", "kind")
    list_per_page = 50
    show_full_result_count = False
    actions = ("cancel_selected",)

    class Media:
        js = (Script("quota_platform/applies.js", type="module"),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Export]:
        rows: QuerySet[Export] = super().get_queryset(request) & access.exports_of(request.user)
        return rows

    def get_fields(self, request: HttpRequest, obj: Export | None = None) -> tuple[str, ...]:
        if obj is None:
            return ("kind", "format", "time_zone", "period", "since", "until", *pickers.KINDS)
        shown_of = (*_ASKED, "requested_name", "status", "rows", "file", "finished_at", "expires_at", "why_failed")
        return tuple(shown(self.model, each) for each in shown_of)

    def get_list_display(self, request: HttpRequest) -> Any:
        return [shown(self.model, each) for each in super().get_list_display(request)]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        made = super().get_form(request, obj, change, **kwargs)
        return type(made.__name__, (made,), {"own_zone": own_zone(request)})

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
            path("names/<slug:kind>/", guarded(self.names_view), name="limiter_export_names"),
            path("<uuid:pk>/download/", guarded(self.download_view), name="limiter_export_download"),
            path("<uuid:pk>/manifest/", guarded(self.manifest_view), name="limiter_export_manifest"),
            *super().get_urls(),
        ]

    def names_view(self, request: HttpRequest, kind: str) -> JsonResponse:
        """What the fields of names offer, here and in saved reports."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        if kind not in pickers.KINDS:
            raise Http404
        number = request.GET.get("page", "")
        asked = int(number) if is_row_id(number) else 1
        return JsonResponse(pickers.page(request.user, kind, term=request.GET.get("term", ""), number=asked))

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
