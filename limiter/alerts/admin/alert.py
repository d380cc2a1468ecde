"""Alerts: to read, those that last first."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateTimeFilter

from limiter.alerts.models import Alert
from limiter.record.admin.record import RecordAdmin
from limiter.record.limit_names import limit_in_words
from quota_platform.base.admin.display import display
from quota_platform.base.languages import number


class LastsFilter(admin.SimpleListFilter):
    """Whether the alert is over."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", gettext("lasts")), ("over", gettext("over"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        return queryset if self.value() is None else queryset.filter(ended_at__isnull=self.value() == "open")


@admin.register(Alert)
class AlertAdmin(RecordAdmin):
    """Alerts, newest first."""

    list_display = ("at", "tenant_id", "action", "limit", "reached", "counted", "state", "ended_at", "policy")
    list_filter = (LastsFilter, "shadow", ("at", RangeDateTimeFilter))
    list_filter_submit = True
    search_fields = ("tenant_id__exact", "action_id__exact", "policy_name__exact")
    search_help_text = _("Tenant ID, action ID or policy, in full")

    @display(description=_("action"), ordering="action_id")
    def action(self, obj: Alert) -> str:
        return obj.action_id or gettext("all")

    @display(description=_("limit"), ordering="limit_name")
    def limit(self, obj: Alert) -> str:
        return limit_in_words(obj.limit_name)

    @display(description=_("threshold"))
    def reached(self, obj: Alert) -> str:
        return f"{obj.threshold} %"

    @display(description=_("used / effective limit"))
    def counted(self, obj: Alert) -> str:
        return f"{number(obj.used)} / {number(obj.effective_limit)}"

    @display(description=_("state"), label={"lasts": "warning", "over": "success"})
    def state(self, obj: Alert) -> str:
        return "over" if obj.ended_at else "lasts"

    @display(description=_("policy"))
    def policy(self, obj: Alert) -> str:
        said = f"{obj.policy_name} v{obj.policy_version}"
        return gettext("{policy}, shadow").format(policy=said) if obj.shadow else said
