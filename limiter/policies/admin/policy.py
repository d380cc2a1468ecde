"""Policies: their sentences above the fields, the tenants they reach, and their earlier versions."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.forms import Script
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from limiter.policies import sentences
from limiter.policies.admin.asking import question
from limiter.policies.admin.limit import LimitInline
from limiter.policies.admin.policy_history import PolicyHistoryPages
from limiter.policies.admin.policy_presets import PolicyPresetPages
from limiter.policies.admin.policy_preview import in_words, preview, typed
from limiter.policies.admin.thresholds import ThresholdsField
from limiter.policies.advice import advice
from limiter.policies.compiled import PolicyInvalid, compile_policy
from limiter.policies.models import QuotaPolicy
from limiter.policies.models.policy import default_alert_at
from limiter.policies.models.version import one_version
from limiter.policies.reach import FIRST, reach
from quota_platform.base.admin.display import display
from quota_platform.base.admin.recorded import RecordedAdmin
from quota_platform.base.admin.row_form import RowForm
from quota_platform.base.reason import MAX_REASON
from tenants.scope import tenants_of

_ADAPTIVE = (
    "cut_carrier",
    "adaptive_scope",
    "cut_on_pushback",
    "latency_threshold_ms",
    "sensitivity",
    "min_multiplier",
    "max_multiplier",
    "sample_size",
    "min_samples",
    "sample_max_age_seconds",
)


class PolicyForm(RowForm):
    """The policy's own fields, and why they change."""

    change_reason = forms.CharField(
        label=_("Reason for this change"),
        required=False,
        max_length=MAX_REASON,
        widget=UnfoldAdminTextInputWidget(),
        help_text=_("Kept in the history, e.g. a ticket number."),
    )
    alert_at = ThresholdsField(
        label=_("Alerts at (%)"),
        initial=default_alert_at,
        help_text=_(
            "Percent of a limit in force, as used, at which an alert starts, for instance 80, 95, 100; empty for none."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "adaptive" in self.fields:
            self.fields["adaptive"].widget.attrs["data-applies"] = json.dumps({"true": _ADAPTIVE})
        for field in _ADAPTIVE:
            if field in self.fields:
                self.fields[field].widget.attrs["data-keep"] = ""

    def full_clean(self) -> None:
        """Ask the compiler too: what would not compile is refused here. The limits have a form set of their own."""
        super().full_clean()
        if self.errors or not self.is_bound:
            return
        try:
            compile_policy(self.instance, [])
        except PolicyInvalid as error:
            self.add_error(error.field if error.field in self.fields else None, error.remedy)

    def says_something(self) -> bool:
        """Whether the policy's own fields were changed."""
        return bool(set(self.changed_data) - {"change_reason"})


@admin.register(QuotaPolicy)
class QuotaPolicyAdmin(PolicyPresetPages, PolicyHistoryPages, RecordedAdmin):
    """A save of the form is one edit: one transaction, one version, one reason."""

    form = PolicyForm
    change_form_template = "limiter/policy_form.html"
    list_display = ("name", "says", "state", "assigned", "version")
    list_filter = ("mode", "adaptive", "store_failure")
    search_fields = ("name", "description", "limits__name")
    search_help_text = _("Name, description or the name of a limit")
    inlines = (LimitInline,)
    readonly_fields = ("version",)
    compressed_fields = False
    fieldsets = (
        (None, {"fields": (("name", "mode"), "description")}),
        (
            _("Adaptive throttling"),
            {
                "fields": (
                    ("adaptive", "cut_carrier", "cut_on_pushback"),
                    ("adaptive_scope", "latency_threshold_ms", "sensitivity", "sample_max_age_seconds"),
                    ("min_multiplier", "max_multiplier", "sample_size", "min_samples"),
                ),
                "description": _(
                    "The limit in force is the limit times the multiplier, rounded down, at least 1. Up to "
                    "the threshold the multiplier is the largest one; above it, it falls by the sensitivity for each "
                    "threshold that the p95 lies higher, and never below the smallest one."
                ),
            },
        ),
        (
            _("Over a limit"),
            {
                "fields": (("wait_seconds", "reserve_seconds"),),
                "description": _(
                    "A call that waits is made as soon as it passes. An appointment holds the unit of a refused call "
                    "until its client comes back at the time of its Retry-After."
                ),
            },
        ),
        (_("When something fails"), {"fields": (("store_failure", "reduced_status"),)}),
        (_("Alerts"), {"fields": ("alert_at",)}),
        (_("This change"), {"fields": ("change_reason", "version")}),
    )

    class Media:
        js = (Script("quota_platform/applies.js", type="module"), Script("limiter/policy_preview.js", type="module"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[QuotaPolicy]:
        rows: QuerySet[QuotaPolicy] = super().get_queryset(request)
        if request.resolver_match and request.resolver_match.url_name == "limiter_quotapolicy_changelist":
            rows = rows.prefetch_related("limits").annotate(assigned_to=Count("assignments"))
        return rows

    @display(description=_("in words"))
    def says(self, obj: QuotaPolicy) -> str:
        return sentences.briefly(obj.limits.all())

    @display(description=_("mode"), ordering="mode", label={"enforcing": "success", "shadow": "info"})
    def state(self, obj: QuotaPolicy) -> str:
        return "shadow" if obj.mode == QuotaPolicy.Mode.SHADOW else "enforcing"

    @display(description=_("assigned to"), ordering="assigned_to")
    def assigned(self, obj: QuotaPolicy) -> int:
        return obj.assigned_to  # type: ignore[attr-defined, no-any-return]

    # The form.

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.preview_view)
        return [path("preview/", view, name="limiter_quotapolicy_preview"), *super().get_urls()]

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """What the form, as typed so far, says; nothing is saved."""
        return preview(self, request)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        with one_version(request.POST.get("change_reason", "").strip()[:MAX_REASON]):
            response: HttpResponse = super().changeform_view(request, object_id, form_url, extra_context)
        return response

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        policy = kwargs.get("obj")
        saved = (policy, list(policy.limits.all())) if policy else (QuotaPolicy(), [])
        shown = typed(self, request) if request.method == "POST" else saved
        context.update(
            in_words(*shown),
            reach=reach(policy, seen=tenants_of(request.user)) if policy else None,
            first=FIRST,
            **question(
                [said for each in context["inline_admin_formsets"] for said in getattr(each.formset, "asks", ())]
            ),
            preview_url=reverse("admin:limiter_quotapolicy_preview"),
        )
        response: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return response

    def save_model(self, request: HttpRequest, obj: QuotaPolicy, form: PolicyForm, change: bool) -> None:
        """An edit of limits alone raises the version by itself; one of nothing leaves it."""
        if not change or form.says_something():
            super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        for said in advice(form.instance, form.instance.limits.all()):
            self.message_user(request, said, messages.WARNING)
