"""The record of refusals: to read, not to write, each explained on its page."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from redis.exceptions import RedisError
from unfold.contrib.filters.admin import RangeDateTimeFilter

from limiter import clients
from limiter.record import by_decision, state
from limiter.record.admin.record import RecordAdmin
from limiter.record.explain import explain, wait_in_seconds
from limiter.record.limit_names import limit_in_words
from limiter.record.models import DeadLetter, RecordGap, ThrottleEvent
from quota_platform.base.admin.display import display
from quota_platform.base.languages import number
from tenants.models import Action, Tenant


@admin.register(ThrottleEvent)
class ThrottleEventAdmin(RecordAdmin):
    """Refusals, newest first."""

    list_display = ("at", "tenant_id", "action_id", "limit", "counted", "outcome", "policy")
    list_filter = ("shadow", ("at", RangeDateTimeFilter))
    list_filter_submit = True
    search_fields = ("tenant_id",)
    search_help_text = _("Tenant ID, action ID, decision ID or request ID, in full")
    list_before_template = "limiter/record_state.html"
    change_form_before_template = "limiter/event_explained.html"
    fields = (
        ("at", "outcome"),
        ("tenant_link", "action_link"),
        ("limit", "counted"),
        ("cost", "wait"),
        ("policy", "key_prefix"),
        ("decision_id", "request_id"),
        "first_at",
    )

    @display(description=_("limit"), ordering="limit_name")
    def limit(self, obj: ThrottleEvent) -> str:
        return limit_in_words(obj.limit_name)

    @display(description=_("used / effective limit"))
    def counted(self, obj: ThrottleEvent) -> str:
        counted = f"{number(obj.used)} / {number(obj.effective_limit)}"
        if obj.multiplier == 1:
            return counted
        share = number(round(obj.multiplier * 100))
        return gettext("{counted} ({share}% of {quota})").format(counted=counted, share=share, quota=number(obj.quota))

    @display(description=_("outcome"), label={"refused": "danger", "would refuse": "info"})
    def outcome(self, obj: ThrottleEvent) -> tuple[str, str]:
        kind = "would refuse" if obj.shadow else "refused"
        word = gettext(kind)
        many = ngettext("{word}, {count} time", "{word}, {count} times", obj.count)
        return kind, word if obj.count == 1 else many.format(word=word, count=number(obj.count))

    @display(description=_("wait until it would have passed"))
    def wait(self, obj: ThrottleEvent) -> str:
        if obj.retry_after_ms is None:
            return gettext("never")
        return gettext("{seconds} s").format(seconds=wait_in_seconds(obj))

    @display(description=_("tenant"))
    def tenant_link(self, obj: ThrottleEvent) -> str:
        tenant = Tenant.objects.filter(tenant_id=obj.tenant_id).first()
        return _link(obj.tenant_id, tenant, "tenants_tenant") if tenant else obj.tenant_id

    @display(description=_("action"))
    def action_link(self, obj: ThrottleEvent) -> str:
        action = Action.objects.filter(tenant__tenant_id=obj.tenant_id, action_id=obj.action_id).first()
        return _link(obj.action_id, action, "tenants_action") if action else obj.action_id

    @display(description=_("policy"))
    def policy(self, obj: ThrottleEvent) -> str | None:
        return f"{obj.policy_name} v{obj.policy_version}" if obj.policy_name else None

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ThrottleEvent], search_term: str
    ) -> tuple[QuerySet[ThrottleEvent], bool]:
        """Each kind of ID by its own index; all in one condition would read the whole table."""
        term = search_term.strip()
        if not term or "\0" in term:
            return queryset, False
        calls = queryset.filter(Q(decision_id=term) | Q(request_id=term))
        if calls.exists():
            return calls, False
        if (folded := by_decision.rows_of(term, among=queryset)).exists():
            return folded, False
        if queryset.filter(tenant_id=term).exists():
            return queryset.filter(tenant_id=term), False
        owners = Action.objects.filter(action_id=term).values("tenant__tenant_id")
        return queryset.filter(action_id=term, tenant_id__in=owners), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response: HttpResponse = super().changelist_view(request, {**(extra_context or {}), "record": _state()})
        return response

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        event = self.get_object(request, object_id) if self.has_view_permission(request) else None
        data = {"explained": explain(event)} if event is not None else {}
        response: HttpResponse = super().change_view(request, object_id, form_url, {**(extra_context or {}), **data})
        return response


def _link(text: str, row: Model, page: str) -> SafeString:
    return format_html('<a class="q-link" href="{}">{}</a>', reverse(f"admin:{page}_change", args=[row.pk]), text)


def _state() -> dict[str, Any]:
    """How far the record is behind, and where it has holes."""
    data = {"gaps": RecordGap.objects.count(), "dead_letters": DeadLetter.objects.count()}
    client = clients.client()
    try:
        return {**data, "known": True, "behind": state.behind(client)}
    except (RedisError, OSError):
        return {**data, "known": False}
    finally:
        client.close()
