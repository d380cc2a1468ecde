"""The page on which policies are made from a preset."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget

from limiter.policies import presets
from limiter.policies.presets import NamesTaken, PolicyPreset
from quota_platform.base.reason import MAX_REASON


class PresetForm(forms.Form):
    """Which preset, and why."""

    preset = forms.ChoiceField(choices=[(name, name) for name in presets.PRESETS])
    change_reason = forms.CharField(
        label=gettext_lazy("Reason for this change"),
        required=False,
        max_length=MAX_REASON,
        widget=UnfoldAdminTextInputWidget(),
    )


class PolicyPresetPages:
    """For the admin of policies: it needs the rights to add policies and limits."""

    actions_list = ["presets"]
    admin_site: Any
    opts: Any

    def has_add_with_limits_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perms(("limiter.add_quotapolicy", "limiter.add_quotalimit"))

    @action(
        description=gettext_lazy("Start from a preset"),
        permissions=["add_with_limits"],
        icon="content_copy",
        url_path="presets",
    )
    def presets(self, request: HttpRequest) -> HttpResponse:
        """Show the presets; make the policies of one that is sent, and lead to them."""
        form = PresetForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            preset = presets.PRESETS[form.cleaned_data["preset"]]
            try:
                made = presets.make(preset, reason=form.cleaned_data["change_reason"].strip())
            except NamesTaken as error:
                messages.error(request, " ".join(error.messages))
            else:
                said = _("{count} policies were made. They apply to nobody until you assign them.")
                messages.success(request, said.format(count=len(made)))
                return redirect(reverse("admin:limiter_quotapolicy_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Policies from a preset"),
            "form": form,
            "list_url": reverse("admin:limiter_quotapolicy_changelist"),
            "presets": [_shown(preset) for preset in presets.PRESETS.values()],
        }
        return TemplateResponse(request, "limiter/policy_presets.html", context)


def _shown(preset: PolicyPreset) -> dict[str, Any]:
    policies = [{"row": each.row(), "sentences": each.in_words()} for each in preset.policies]
    return {
        "name": preset.name,
        "label": _(preset.label),
        "description": _(preset.description),
        "source": preset.source,
        "policies": policies,
    }
