"""Tenants with their actions and keys."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import action

from quota_platform.base import row_access
from quota_platform.base.admin.display import display
from quota_platform.base.admin.recorded import RecordedAdmin
from quota_platform.base.admin.scoped import RowFilter
from tenants.admin.issued import STATE_COLOURS, state_of
from tenants.admin.membership import MemberInline
from tenants.models import Action, ApiKey, Tenant

LINK = "text-primary-600 dark:text-primary-500"


def _count(rows: QuerySet[Any]) -> Coalesce:
    """How many of the rows a tenant has, counted for the tenants of the page only."""
    counted = rows.filter(tenant=OuterRef("pk")).order_by().values("tenant").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted), 0)


class KeyInline(TabularInline):
    """The tenant's keys, to look at; the links lead to what can be done with one."""

    model = ApiKey
    fields = ("name", "prefix_shown", "state", "expires_at", "created_at", "revoke_link")
    readonly_fields = fields
    verbose_name_plural = _("API keys")
    extra = 0
    per_page = 20
    can_delete = False
    show_change_link = True
    hide_title = True

    def has_add_permission(self, request: HttpRequest, obj: Tenant | None = None) -> bool:
        """Keys are made on their own page, which shows the token once."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    @display(description=_("prefix"))
    def prefix_shown(self, obj: ApiKey) -> str:
        return f"qk_{obj.prefix}_…"

    @display(description=_("state"), label=STATE_COLOURS)
    def state(self, obj: ApiKey) -> str:
        return state_of(obj)

    @display(description=_("Revoke"))
    def revoke_link(self, obj: ApiKey) -> str:
        if obj.revoked_at:
            return ""
        url = f"{reverse('admin:tenants_apikey_revoke')}?key={obj.pk}"
        return format_html('<a class="{}" href="{}">{}</a>', LINK, url, gettext("Revoke…"))


@admin.register(Tenant)
class TenantAdmin(RecordedAdmin):
    """A tenant with its keys; its actions are a list of their own, for there may be many."""

    list_display = ("tenant_id", "name", "state", "connection", "action_count", "key_count")
    list_select_related = ("connection",)
    list_filter = ("status", ("connection", RowFilter), "accept_unlisted_actions")
    search_fields = ("tenant_id", "name")
    search_help_text = _("Tenant ID or name")
    autocomplete_fields = ("connection",)
    inlines = (KeyInline, MemberInline)
    actions_detail = ("issue_key", "list_actions")
    fieldsets = (
        (None, {"fields": (("tenant_id", "name"), ("status", "connection"), "notes")}),
        (_("Calls"), {"fields": (("envelope", "accept_unlisted_actions"),)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Tenant]:
        rows: QuerySet[Tenant] = super().get_queryset(request)
        if request.resolver_match and request.resolver_match.url_name == "tenants_tenant_changelist":
            rows = rows.annotate(
                actions_known=_count(Action.objects.all()),
                keys_in_use=_count(ApiKey.objects.filter(revoked_at=None)),
            )
        return rows

    def get_readonly_fields(self, request: HttpRequest, obj: Tenant | None = None) -> tuple[str, ...]:
        """A new ID would open the record of that ID."""
        return () if obj is None or row_access.sees_every_tenant(request.user) else ("tenant_id",)

    @display(description=_("state"), ordering="status", label={"active": "success", "suspended": "danger"})
    def state(self, obj: Tenant) -> str:
        return obj.status

    @display(description=_("actions"))
    def action_count(self, obj: Tenant) -> int:
        return obj.actions_known  # type: ignore[attr-defined, no-any-return]

    @display(description=_("API keys"))
    def key_count(self, obj: Tenant) -> int:
        return obj.keys_in_use  # type: ignore[attr-defined, no-any-return]

    # Named permissions, not "app.codename": unfold looks those up in the database while Django checks the project,
    # which it also does before there are any tables.
    def has_issue_key_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("tenants.add_apikey")

    def has_view_actions_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("tenants.view_action") or request.user.has_perm("tenants.change_action")

    @action(description=_("New API key"), permissions=["issue_key"], icon="key", url_path="issue-key")
    def issue_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(f"{reverse('admin:tenants_apikey_add')}?tenant={object_id}")

    @action(description=_("Actions"), permissions=["view_actions"], icon="bolt", url_path="actions")
    def list_actions(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(f"{reverse('admin:tenants_action_changelist')}?tenant__id__exact={object_id}")
