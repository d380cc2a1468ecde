"""The record of refusals: to read, not to write."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.decorators import display

from limiter.models import ThrottleEvent


@admin.register(ThrottleEvent)
class ThrottleEventAdmin(ModelAdmin):
    """Nobody adds, changes or deletes a record here."""

    list_display = ("at", "tenant_id", "action_id", "limit_name", "counted", "outcome", "policy")
    list_filter = ("shadow",)
    search_fields = ("tenant_id__exact", "action_id__exact", "decision_id__exact", "request_id__exact")
    search_help_text = "Tenant ID, action ID, decision ID or request ID, in full"
    list_per_page = 50
    show_full_result_count = False

    @display(description="used / effective limit")
    def counted(self, obj: ThrottleEvent) -> str:
        cut = f" ({obj.multiplier:.0%} of {obj.quota:,})" if obj.multiplier != 1 else ""
        return f"{obj.used:,} / {obj.effective_limit:,}{cut}"

    @display(description="outcome", ordering="shadow", label={"refused": "danger", "would refuse": "info"})
    def outcome(self, obj: ThrottleEvent) -> str:
        return "would refuse" if obj.shadow else "refused"

    @display(description="policy")
    def policy(self, obj: ThrottleEvent) -> str:
        return f"{obj.policy_name} v{obj.policy_version}"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: ThrottleEvent | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ThrottleEvent | None = None) -> bool:
        return False
