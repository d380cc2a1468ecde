"""Overrides: a change for a while, with a reason and an end."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.db.models import QuerySet
from django.forms import Script
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from limiter.policies import foreseen, in_force, sentences
from limiter.policies.admin.asking import AskingAdmin, AskingForm
from limiter.policies.admin.units import QuotaField, rate_of
from limiter.policies.cuts import Hit
from limiter.policies.models import Override
from quota_platform.base.admin import seconds
from quota_platform.base.admin.display import display
from quota_platform.base.admin.recorded import RecordedAdmin
from quota_platform.base.admin.scoped import RowFilter


class OverrideForm(AskingForm):
    """The effect says which value it takes."""

    def hits(self) -> list[Hit]:
        return foreseen.by_override(self.instance)

    def where(self) -> str:
        return str(self.instance.effect)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "effect" in self.fields:
            applies = {"factor": ["factor"], "quota": ["quota"], "shadow": []}
            self.fields["effect"].widget.attrs["data-applies"] = json.dumps(applies)
        if "quota" in self.fields:
            self.fields["quota"].help_text = _("Units of the limit's window, or a rate such as 100 per minute.")
        for name in ("starts_at", "ends_at"):
            if name in self.fields:
                self.fields[name].help_text = _("UTC. From this moment on.") if name == "starts_at" else _("UTC.")

    def _post_clean(self) -> None:
        """The rate after all else: a refused one is no limit, which the row would then ask for."""
        rate = rate_of(str(self.data.get(self.add_prefix("quota"), "")))
        wrong = self._wrong_window(rate[1]) if rate and "quota" not in self.errors else ""
        super()._post_clean()
        if wrong:
            self.errors.pop("quota", None)
            self.add_error("quota", wrong)

    def _wrong_window(self, typed: int) -> str:
        """A rate means the limit that the override changes, whose window stays."""
        scope = (self.cleaned_data.get(name) for name in ("tenant", "action", "limit_name"))
        wanted = in_force.windows(*scope)
        if not wanted or typed in wanted:
            return ""
        spans = ", ".join(seconds.in_words(each) or f"{each} s" for each in sorted(wanted))
        return _("The limit counts per {span}: give its units for this span.").format(span=spans)

    def clean_ends_at(self) -> Any:
        ends_at = self.cleaned_data["ends_at"]
        if self.instance.pk is None and ends_at <= timezone.now():
            raise forms.ValidationError(_("This moment has passed; choose a later one."))
        return ends_at


class OverrideStateFilter(admin.SimpleListFilter):
    """Planned, active or ended, by the clock."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state.value, str(state.label)) for state in Override.State]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Override]) -> QuerySet[Override]:
        state = self.value()
        if state not in Override.State.values:
            return queryset
        return queryset & Override.objects.in_state(str(state), now=timezone.now())


@admin.register(Override)
class OverrideAdmin(AskingAdmin, RecordedAdmin):
    """Who changed what for which tenant, until when, and why."""

    form = OverrideForm
    list_display = ("says", "state", "reason", "created_by")
    list_select_related = ("tenant", "action__tenant")
    list_filter = (OverrideStateFilter, "effect", ("tenant", RowFilter))
    search_fields = ("tenant__tenant_id", "action__action_id", "limit_name", "reason", "created_by")
    search_help_text = _("Tenant ID, action ID, limit, reason or who made it")
    autocomplete_fields = ("tenant", "action")
    readonly_fields = ("created_by",)
    fieldsets = (
        (_("Scope"), {"fields": (("tenant", "action"), "limit_name")}),
        (_("Change"), {"fields": ("effect", "factor", "quota")}),
        (_("For how long, and why"), {"fields": ("starts_at", "ends_at", "reason", "created_by")}),
    )

    class Media:
        js = (Script("quota_platform/applies.js", type="module"),)

    def formfield_for_dbfield(self, db_field: models.Field, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "quota":
            kwargs |= {"form_class": QuotaField, "widget": UnfoldAdminTextInputWidget()}
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    @display(description=_("override"), ordering="starts_at")
    def says(self, obj: Override) -> str:
        return sentences.override(obj)

    @display(description=_("state"), label={"planned": "info", "active": "success", "ended": "default"})
    def state(self, obj: Override) -> str:
        return str(obj.state_at(timezone.now()).label)

    def save_model(self, request: HttpRequest, obj: Override, form: Any, change: bool) -> None:
        if not change:
            obj.created_by = request.user.get_username()
        super().save_model(request, obj, form, change)
