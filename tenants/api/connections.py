"""``/api/connections``: upstream accounts; their secrets are written here and never read."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from quota_platform.base.api.filters import choice, flag
from quota_platform.base.api.resource import Resource
from quota_platform.base.api.serializer import RowSerializer
from tenants import completeness, presets
from tenants.api.actions import TextsField
from tenants.models import Connection

SECRETS = {"client_secret": Connection.set_client_secret, "access_key_secret": Connection.set_access_key_secret}
"""Write-only fields -> the model's way to seal them."""


def _secret(label: str) -> serializers.CharField:
    return serializers.CharField(
        write_only=True,
        required=False,
        max_length=4096,
        trim_whitespace=False,
        style={"input_type": "password"},
        help_text=f"A new {label}; stored encrypted, never shown. Left out: the stored one stays.",
    )


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "CXone web actions",
            value={
                "name": "cxone-na1",
                "preset": "cxone_webaction",
                "base_url": "https://api-na1.niceincontact.com",
                "client_id": "quota-platform",
                "client_secret": "…",
            },
            request_only=True,
        )
    ]
)
class ConnectionSerializer(RowSerializer[Connection]):
    """A connection. Which fields apply depends on the preset; a blank one takes what the preset says."""

    client_secret = _secret("client secret")
    client_secret_set = serializers.SerializerMethodField(help_text="Whether a client secret is stored.")
    access_key_secret = _secret("access key secret")
    access_key_secret_set = serializers.SerializerMethodField(help_text="Whether an access key secret is stored.")
    missing = serializers.SerializerMethodField(
        help_text="Secrets that the preset needs and that are not stored; calls get a 502 until they are."
    )
    token_extra_params = TextsField(
        required=False, help_text=str(Connection._meta.get_field("token_extra_params").help_text)
    )

    class Meta:
        model = Connection
        fields = [
            "name",
            "uid",
            "preset",
            "enabled",
            "is_sandbox",
            "base_url",
            "token_url",
            "issuer_url",
            "area",
            "cxone_tenant_id",
            "api_version",
            "grant_type",
            "client_auth",
            "basic_urlencode",
            "token_body",
            "client_id",
            "client_secret",
            "client_secret_set",
            "access_key_id",
            "access_key_secret",
            "access_key_secret_set",
            "missing",
            "scope",
            "token_extra_params",
            "token_refresh_skew_s",
            "connect_timeout_s",
            "total_deadline_s",
            "max_response_bytes",
            "max_retries",
            "breaker_failure_percent",
            "breaker_min_calls",
            "breaker_window_s",
            "breaker_cooldown_s",
            "pause_on_pushback",
            "max_pause_s",
            "learns_in_flight",
            "slow_above_ms",
            "min_in_flight",
            "max_in_flight",
            "pace",
            "pace_per_minute",
            "shared",
            "shared_like",
            "dedupe",
            "dedupe_ttl_s",
            "probe_path",
            "allowed_host_suffixes",
            "created_at",
            "reason",
        ]
        validators: list[Any] = []

    def get_client_secret_set(self, row: Connection) -> bool:
        return bool(row.client_secret_sealed)

    def get_access_key_secret_set(self, row: Connection) -> bool:
        return bool(row.access_key_secret_sealed)

    @extend_schema_field({"type": "array", "items": {"type": "string", "enum": list(completeness.SECRETS)}})
    def get_missing(self, row: Connection) -> list[str]:
        return completeness.missing_secrets(row)

    def fill(self, row: Connection, values: dict[str, Any]) -> None:
        for name, seal in SECRETS.items():
            if (plain := values.pop(name, None)) is not None:
                seal(row, plain)
        super().fill(row, values)


@extend_schema(tags=["connections"])
class ConnectionResource(Resource[Connection]):
    """Upstream accounts. Secrets are write-only: a response contains only whether one is stored."""

    queryset = Connection.objects.all()
    serializer_class = ConnectionSerializer
    lookup_field = "name"
    lookup_value_regex = "[A-Za-z0-9._-]{1,64}"
    filters = {
        "preset": choice("preset", "Its authentication and its endpoints.", presets.PRESETS),
        "enabled": flag("enabled", "Whether calls may go through it."),
        "is_sandbox": flag("is_sandbox", "Whether it reaches the sandbox only."),
    }
    search_fields = ["name", "base_url", "client_id"]
    ordering_fields = ["name", "preset", "created_at"]
