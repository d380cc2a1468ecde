"""Actions: what a tenant may invoke, and only the fields that their kind uses."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import Script
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from quota_platform.base.admin.display import display
from quota_platform.base.admin.json_field import JSON_FIELDS, EmptyMeansDefault
from quota_platform.base.admin.recorded import RecordedAdmin
from quota_platform.base.admin.scoped import RowFilter
from tenants import presets
from tenants.cost import MAX_COST
from tenants.failure import CountsAs, When
from tenants.models import Action

APPLIES = {key: sorted(kind.fields) for key, kind in presets.KINDS.items()}
"""The fields that only some kinds use, by kind."""


LEFT_OUT = {
    "min_cost": 1,
    "max_cost": MAX_COST,
    "failure_when": When.FILLED.value,
    "failure_counts_as": CountsAs.ERROR.value,
}
"""Fields that a page of a release before does not have, and their values then."""


class ActionForm(EmptyMeansDefault):
    """The kind says which fields say what to call."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "kind" in self.fields:
            self.fields["kind"].widget.attrs["data-applies"] = json.dumps(APPLIES)
        for name in LEFT_OUT.keys() & self.fields.keys():
            self.fields[name].required = False

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        for name, default in LEFT_OUT.items():
            if name not in self.errors and cleaned.get(name) in (None, ""):
                cleaned[name] = default
        return cleaned


@admin.register(Action)
class ActionAdmin(RecordedAdmin):
    """A named call of one tenant."""

    form = ActionForm
    formfield_overrides: ClassVar = JSON_FIELDS
    list_display = ("action_id", "tenant", "kind", "state", "cost", "timeout_ms", "idempotent", "description")
    list_filter = (("tenant", RowFilter), "kind", "enabled", "idempotent")
    search_fields = ("action_id", "tenant__tenant_id", "description")
    search_help_text = _("Action ID, tenant ID or description")
    autocomplete_fields = ("tenant",)
    fieldsets = (
        (None, {"fields": (("tenant", "action_id"), ("kind", "enabled"), "description")}),
        (
            _("Request"),
            {
                "fields": (
                    "method",
                    "path_template",
                    ("skill_id", "script_id"),
                    "script_path",
                    "point_of_contact",
                    "param_map",
                    "query_template",
                )
            },
        ),
        (
            _("Response"),
            {
                "fields": (
                    "success_statuses",
                    ("failure_at", "failure_when"),
                    ("failure_values", "failure_counts_as"),
                )
            },
        ),
        (
            _("Cost and time"),
            {
                "fields": (
                    ("cost", "cost_from"),
                    ("min_cost", "max_cost"),
                    "cost_without",
                    ("timeout_ms", "idempotent"),
                )
            },
        ),
    )

    class Media:
        js = (Script("quota_platform/applies.js", type="module"),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Action]:
        """An action is shown with its tenant's ID everywhere, also in the choices of other forms."""
        rows: QuerySet[Action] = super().get_queryset(request)
        return rows.select_related("tenant")

    @display(description=_("state"), ordering="enabled", label={"on": "success", "off": "danger"})
    def state(self, obj: Action) -> str:
        return "on" if obj.enabled else "off"
