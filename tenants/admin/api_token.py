"""Tokens of the management API: made and shown once, listed by their beginning, revoked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from quota_platform.base.admin.display import display
from tenants.admin.issued import IssuedAdmin
from tenants.models import ApiToken
from tenants.models.api_token import MAX_DAYS


def _in_90_days() -> Any:
    return timezone.now().replace(second=0, microsecond=0) + timedelta(days=90)


class ApiTokenForm(forms.ModelForm):
    """A new token ends within a year; what never ends is made on the command line."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "expires_at" in self.fields:
            self.fields["expires_at"].required = True
            self.fields["expires_at"].initial = _in_90_days

    def clean_expires_at(self) -> Any:
        ends, now = self.cleaned_data["expires_at"], timezone.now()
        if ends <= now:
            raise forms.ValidationError(_("Give a moment to come."))
        if ends > now + timedelta(days=MAX_DAYS):
            raise forms.ValidationError(_("Give a moment within a year."))
        return ends


@admin.register(ApiToken)
class ApiTokenAdmin(IssuedAdmin):
    """A person sees their own tokens; a superuser sees all, and makes them for the accounts of programs too."""

    form = ApiTokenForm
    new_title = _("New API token")
    copy_title = _("Copy the new token now")
    issued_template = "tenants/token_issued.html"
    list_display = ("name", "shown_hint", "user", "scope", "state", "expires_at", "last_used_at", "created_at")
    list_select_related = ("user",)
    list_filter = ("scope",)
    search_fields = ("name", "hint", "user__username")
    search_help_text = _("Name, beginning of the token, or owner")
    autocomplete_fields = ("user",)
    actions = ("revoke_selected",)

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> tuple[str, ...]:
        if obj is None:
            new = ("name", "scope", "expires_at")
            return ("user", *new) if request.user.is_superuser else new
        return (
            *("user", "name", "scope", "shown_hint", "state", "expires_at"),
            *("last_used_at", "created_at", "created_by", "revoked_at"),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> tuple[str, ...]:
        """A token that exists is renamed or revoked, and never widened."""
        if obj is None:
            return ()
        fields = self.get_fields(request, obj)
        return fields if obj.revoked_at else tuple(name for name in fields if name != "name")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"user": request.user.pk, **super().get_changeform_initial_data(request)}

    @display(description=_("begins with"), ordering="hint")
    def shown_hint(self, obj: ApiToken) -> str:
        return f"{obj.hint}…"

    def save_model(self, request: HttpRequest, obj: ApiToken, form: forms.ModelForm, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        made, token = ApiToken.objects.issue(
            user=obj.user if request.user.is_superuser else request.user,
            name=obj.name,
            scope=obj.scope,
            expires_at=obj.expires_at,
            created_by=request.user.get_username(),
        )
        self.issued(request, obj, made, token)

    def page_after(self, obj: ApiToken) -> str:
        return reverse("admin:tenants_apitoken_changelist")

    @admin.action(description=_("Revoke the selected tokens"), permissions=["change"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        chosen = list(queryset.filter(revoked_at=None))
        for token in chosen:
            token.revoke()
        said = _("Revoked: {tokens}.").format(tokens=", ".join(map(str, chosen)) or "-")
        self.message_user(request, said, messages.SUCCESS if chosen else messages.WARNING)
