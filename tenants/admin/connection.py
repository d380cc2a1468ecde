"""Connections: only the fields their preset uses, and secrets that go in and never come out."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db import models
from django.db.models import Count, QuerySet
from django.forms import Script
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters

from quota_platform.base.admin.display import display
from quota_platform.base.admin.json_field import JSON_FIELDS, EmptyMeansDefault
from quota_platform.base.admin.recorded import RecordedAdmin
from quota_platform.base.admin.secret_field import SecretField
from quota_platform.base.kept import kept_text
from tenants import completeness, presets
from tenants.models import Connection

_SECRETS = tuple(completeness.SECRETS)
_NEW_SECRET = {
    ("client_secret",): kept_text("New client secret"),
    ("access_key_secret",): kept_text("New access key secret"),
    ("client_secret", "access_key_secret"): kept_text("New client secret and access key secret"),
}
_NO_SECRET = {
    "client_secret": gettext_noop("no client secret"),
    "access_key_secret": gettext_noop("no access key secret"),
}
_IN_EVERY_PRESET = frozenset.intersection(*(preset.fields for preset in presets.PRESETS.values()))
APPLIES = {key: sorted(preset.fields - _IN_EVERY_PRESET) for key, preset in presets.PRESETS.items()}
"""The fields that only some presets use, by preset."""


class ConnectionForm(EmptyMeansDefault):
    """A connection with its secrets write-only: blank leaves them as they are."""

    client_secret = SecretField(label=_("New client secret"))
    access_key_secret = SecretField(label=_("New access key secret"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "preset" in self.fields:
            self.fields["preset"].widget.attrs["data-applies"] = json.dumps(APPLIES)
        for name in _SECRETS:
            is_set = bool(getattr(self.instance, f"{name}_sealed"))
            self.fields[name].help_text = (
                _("A secret is set. Type a new one to replace it; blank keeps it.")
                if is_set
                else _("No secret is set.")
            )

    def clean(self) -> dict[str, Any]:
        """Secrets are sealed first, because the row checks whether they were entered again."""
        cleaned = super().clean() or {}
        for name in self._given():
            getattr(self.instance, f"set_{name}")(cleaned[name])
        return cleaned

    def _given(self) -> list[str]:
        return [name for name in _SECRETS if self.cleaned_data.get(name)]

    def save(self, commit: bool = True) -> Any:
        if given := self._given():
            self.instance._change_reason = _NEW_SECRET[tuple(given)]
        return super().save(commit)


@admin.register(Connection)
class ConnectionAdmin(RecordedAdmin):
    """One upstream account and how it is reached."""

    form = ConnectionForm
    formfield_overrides: ClassVar = {**JSON_FIELDS, models.URLField: {"assume_scheme": "https"}}
    list_display = ("name", "state", "preset", "base_url", "shown_secrets", "tenant_count")
    list_filter = ("preset", "enabled", "is_sandbox")
    search_fields = ("name", "base_url", "client_id", "access_key_id")
    search_help_text = _("Name, base URL, client ID or access key ID")
    fieldsets = (
        (None, {"fields": (("name", "preset"), ("enabled", "is_sandbox"))}),
        (
            _("Where"),
            {
                "fields": (
                    "base_url",
                    "token_url",
                    "issuer_url",
                    ("area", "api_version"),
                    "cxone_tenant_id",
                    "allowed_host_suffixes",
                )
            },
        ),
        (
            _("Credentials"),
            {
                "fields": (
                    ("grant_type", "token_body"),
                    ("client_auth", "basic_urlencode"),
                    ("client_id", "client_secret"),
                    ("access_key_id", "access_key_secret"),
                    ("scope", "token_refresh_skew_s"),
                    "token_extra_params",
                )
            },
        ),
        (
            _("Patience"),
            {
                "fields": (
                    ("connect_timeout_s", "total_deadline_s"),
                    ("max_retries", "max_response_bytes"),
                    ("breaker_failure_percent", "breaker_min_calls"),
                    ("breaker_window_s", "breaker_cooldown_s"),
                    ("pause_on_pushback", "max_pause_s"),
                    ("pace", "pace_per_minute"),
                )
            },
        ),
        (
            _("In flight"),
            {"fields": (("learns_in_flight", "slow_above_ms"), ("min_in_flight", "max_in_flight"))},
        ),
        (_("Shares of the tenants"), {"fields": (("shared", "shared_like"),)}),
        (_("Repeated calls and the connection test"), {"fields": (("dedupe", "dedupe_ttl_s"), "probe_path")}),
    )

    class Media:
        js = (Script("quota_platform/applies.js", type="module"),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connection]:
        rows: QuerySet[Connection] = super().get_queryset(request)
        if request.resolver_match and request.resolver_match.url_name == "tenants_connection_changelist":
            rows = rows.annotate(shared_by=Count("tenants"))
        return rows

    @method_decorator(sensitive_post_parameters(*_SECRETS))
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().changeform_view(request, *args, **kwargs)
        return response

    @method_decorator(sensitive_post_parameters(*_SECRETS))
    def history_form_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().history_form_view(request, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Connection, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if missing := completeness.missing_secrets(obj):
            said = _(
                "{connection} is still incomplete: its preset needs the {secrets}. Until you enter it, calls get a 502."
            ).format(connection=obj, secrets=completeness.named(missing))
            self.message_user(request, said, messages.WARNING)

    @display(
        description=_("state"),
        ordering="enabled",
        label={"on": "success", "off": "danger", "incomplete": "danger", "sandbox": "info"},
    )
    def state(self, obj: Connection) -> str:
        if not obj.enabled:
            return "off"
        if completeness.missing_secrets(obj):
            return "incomplete"
        return "sandbox" if obj.is_sandbox else "on"

    @display(description=_("secrets"))
    def shown_secrets(self, obj: Connection) -> str:
        """Whether the secrets that the preset uses are stored, never their values."""
        used = [name for name in _SECRETS if name in presets.PRESETS[obj.preset].fields]
        missing = [name for name in used if not getattr(obj, f"{name}_sealed")]
        return ", ".join(gettext(_NO_SECRET[name]) for name in missing) or gettext("set")

    @display(description=_("tenants"), ordering="shared_by")
    def tenant_count(self, obj: Connection) -> int:
        return obj.shared_by  # type: ignore[attr-defined, no-any-return]
