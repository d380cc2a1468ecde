"""Tokens of the management API: made and shown once, listed by their beginning, revoked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from quota_platform.base.admin.display import display
from quota_platform.base.admin.recorded import RecordedAdmin
from quota_platform.base.admin.shown_once import show_once
from tenants.models import ApiToken
from tenants.models.api_token import MAX_DAYS

STATE_COLOURS = {"active": "success", "expired": "warning", "revoked": "danger"}


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
class ApiTokenAdmin(RecordedAdmin):
    """A person sees their own tokens; a superuser sees all, and makes them for the accounts of programs too."""

    form = ApiTokenForm
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

    @display(description=_("state"), label=STATE_COLOURS)
    def state(self, obj: ApiToken) -> str:
        if obj.revoked_at is not None:
            return "revoked"
        return "expired" if obj.has_expired else "active"

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        one_button = {"title": _("New API token"), "show_save_and_continue": False, "show_save_and_add_another": False}
        response: HttpResponse = super().add_view(request, form_url, {**one_button, **(extra_context or {})})
        return response

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
        obj.__dict__.update(made.__dict__)
        # Lives as long as this request: shown in its response and kept nowhere.
        request.issued_token = token  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None) -> HttpResponse:
        return show_once(
            request,
            "tenants/token_issued.html",
            title=str(_("Copy the new token now")),
            secret=request.issued_token,  # type: ignore[attr-defined]
            of=obj,
            next_url=reverse("admin:tenants_apitoken_changelist"),
        )

    @admin.action(description=_("Revoke the selected tokens"), permissions=["change"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        chosen = list(queryset.filter(revoked_at=None))
        for token in chosen:
            token.revoke()
        said = _("Revoked: {tokens}.").format(tokens=", ".join(map(str, chosen)) or "-")
        self.message_user(request, said, messages.SUCCESS if chosen else messages.WARNING)

    def revert_disabled(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        """Never: going back to an earlier record would open a revoked token again."""
        return True
