"""Assignments: which policy everyone, a tenant or an action has, and who wins."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.forms import Script
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from limiter.policies import sentences
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


class AssignmentForm(forms.ModelForm):
    """The target says which of tenant and action to choose."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "target" in self.fields:
            applies = {"default": [], "tenant": ["tenant"], "action": ["action"]}
            self.fields["target"].widget.attrs["data-applies"] = json.dumps(applies)


@admin.register(Assignment)
class AssignmentAdmin(RecordedAdmin):
    """One line for each policy that somebody has."""

    form = AssignmentForm
    list_display = ("__str__", "policy", "for_whom")
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

    @display(description=_("for"))
    def for_whom(self, obj: Assignment) -> str:
        return sentences.assignment(obj)
