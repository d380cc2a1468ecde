"""Assignments: which policy everyone, a tenant or an action has, and who wins."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.forms import Script
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from limiter.policies import foreseen, sentences
from limiter.policies.admin import asking
from limiter.policies.admin.asking import AskingAdmin, AskingForm
from limiter.policies.cuts import Hit
from limiter.policies.models import Assignment
from quota_platform.base import row_access
from quota_platform.base.admin.display import display
from quota_platform.base.admin.recorded import RecordedAdmin
from quota_platform.base.admin.scoped import RowFilter

WHO_WINS = _(
    "A call takes the limits of the default policy, then those of its tenant's policy, then those of its action's. "
    "A limit with the name of an earlier one takes its place; a limit with a new name is added. All that remain must "
    "pass. The narrowest policy also determines how limits follow latency, and the behavior when the store fails. "
    "Everyone, a tenant and an action each have one policy at most."
)


class AssignmentForm(AskingForm):
    """The target says which of tenant and action to choose."""

    def hits(self) -> list[Hit]:
        return foreseen.by_assignment(self.instance)

    def where(self) -> str:
        return "policy"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "target" in self.fields:
            applies = {"default": [], "tenant": ["tenant"], "action": ["action"]}
            self.fields["target"].widget.attrs["data-applies"] = json.dumps(applies)


@admin.register(Assignment)
class AssignmentAdmin(AskingAdmin, RecordedAdmin):
    """One line for each policy that somebody has."""

    form = AssignmentForm
    list_display = ("__str__", "policy", "reach")
    list_select_related = ("policy", "tenant", "action__tenant")
    list_filter = (
        "target",
        ("policy", RowFilter),
        ("tenant", RowFilter),
    )
    search_fields = ("policy__name", "tenant__tenant_id", "action__action_id", "action__tenant__tenant_id")
    search_help_text = _("Policy, tenant ID or action ID")
    autocomplete_fields = ("policy", "tenant", "action")
    fieldsets = ((None, {"fields": ("policy", "target", "tenant", "action"), "description": WHO_WINS}),)

    class Media:
        js = (Script("quota_platform/applies.js", type="module"),)

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "target" and not row_access.sees_every_tenant(request.user):
            kwargs["choices"] = [one for one in db_field.get_choices() if one[0] != Assignment.Target.DEFAULT]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """The page that asks about the deletion also names the tenants it hits."""
        row = self.get_object(request, object_id) if request.method == "GET" else None
        for said in asking.sentences(foreseen.by_assignment(row, removed=True), request.user) if row else ():
            self.message_user(request, said, messages.WARNING)
        response: HttpResponse = super().delete_view(request, object_id, extra_context)
        return response

    @display(description=_("for"))
    def reach(self, obj: Assignment) -> str:
        return sentences.assignment(obj)
