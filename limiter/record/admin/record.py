"""What the pages of the record share: rows to read, not to write, however many there are."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.functional import cached_property
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from limiter.record.models import AuditEntry, DeadLetter, MultiplierChange, RecordGap
from quota_platform.base.admin.display import display
from quota_platform.base.admin.members import in_lines
from quota_platform.base.admin.numbers import shown
from quota_platform.base.admin.scoped import ScopedAdmin
from quota_platform.base.languages import number

MAX_COUNTED = 10_000


class BoundedPaginator(Paginator[Any]):
    """Counts, and pages through, the newest 10,000 rows: counting tens of millions takes seconds."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[:MAX_COUNTED].count())

    @property
    def is_cut(self) -> bool:
        """Whether there may be more than are counted, which the page says by a plus."""
        return self.count == MAX_COUNTED


class RecordAdmin(ScopedAdmin, ModelAdmin):
    """Nobody adds, changes or deletes a record here, so it has no history either. Numbers are rounded and grouped."""

    list_per_page = 50
    show_full_result_count = False
    sortable_by = ()
    goes_with_its_owner = False
    """Whether rows that nobody deletes here go with the row that they belong to."""
    paginator = BoundedPaginator

    def get_list_display(self, request: HttpRequest) -> Any:
        return [shown(self.model, each) for each in super().get_list_display(request)]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [shown(self.model, each) for each in super().get_fields(request, obj)]

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "show_history": False})

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        raise Http404(gettext("A record never changes: it has no history."))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(AuditEntry)
class AuditEntryAdmin(RecordAdmin):
    """Edits, sign-ins, overrides' starts and ends, and batches of events, as they are chained."""

    list_display = ("at", "tenant_id", "position", "kind", "actor")
    fields = (("at", "kind"), ("tenant_id", "actor"), "details", "position", "previous_hash", "hash")
    search_fields = ("tenant_id__exact", "kind__exact", "actor__exact")
    search_help_text = _("Tenant ID, kind or person, in full")

    @display(description=_("details"))
    def details(self, obj: AuditEntry) -> SafeString | str:
        return in_lines(obj.payload)


@admin.register(MultiplierChange)
class MultiplierChangeAdmin(RecordAdmin):
    """Changes of multipliers with their evidence."""

    list_display = ("at", "tenant_id", "action_id", "before", "after", "p95", "threshold_ms", "samples")
    fields = (
        ("at", "stream_id"),
        ("tenant_id", "action_id"),
        ("before", "after"),
        ("p95", "threshold_ms"),
        ("samples", "pushed_back"),
    )
    search_fields = ("tenant_id__exact", "action_id__exact")
    search_help_text = _("Tenant ID or action ID, in full")

    @display(description=_("p95 (ms)"))
    def p95(self, obj: MultiplierChange) -> str:
        return number(obj.known_p95_ms) or "-"


@admin.register(RecordGap)
class RecordGapAdmin(RecordAdmin):
    """Where the record is known to be incomplete."""

    list_display = ("noticed_at", "stream", "lost", "after", "before")


@admin.register(DeadLetter)
class DeadLetterAdmin(RecordAdmin):
    """Entries that could not be stored."""

    list_display = ("at", "stream", "stream_id", "error")
    fields = (("at", "stream"), ("stream_id", "deliveries"), "error", "content")

    @display(description=_("content"))
    def content(self, obj: DeadLetter) -> SafeString | str:
        return in_lines(obj.fields)
