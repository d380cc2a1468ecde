"""``/api/keys``: what callers present; made and revoked here, shown once."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from simple_history.utils import update_change_reason

from quota_platform.base.api.filters import flag, text
from quota_platform.base.api.resource import Creates, Updates, whole
from quota_platform.base.api.serializer import RowSerializer, by_field, explain
from tenants.api.references import NameField, TenantsField
from tenants.models import ApiKey, Tenant

_FIELDS = [
    *("prefix", "name", "tenant", "acts_for", "max_class"),
    *("created_by", "created_at", "expires_at", "revoked_at", "reason"),
]


class KeySerializer(RowSerializer[ApiKey]):
    """A key without its token; ``prefix`` is what logs and throttle events name it by."""

    fixed = {"tenant": "A key stays with its tenant; make another key instead."}

    tenant = NameField(
        queryset=Tenant.objects.all(),
        by="tenant_id",
        max_length=64,
        allow_null=True,
        default=None,
        help_text="Its tenant's ID; null for a platform key.",
    )
    acts_for = TenantsField(
        required=False, help_text="Platform keys only: IDs of the tenants it may name in X-Tenant-Id."
    )

    class Meta:
        model = ApiKey
        fields = _FIELDS
        read_only_fields = ["prefix", "created_by", "created_at", "revoked_at"]
        validators: list[object] = []

    def fill(self, row: ApiKey, values: dict[str, Any]) -> None:
        self.allowed: list[Tenant] | None = values.pop("acts_for", None)
        tenant = values.get("tenant") if self.instance is None else row.tenant
        if self.allowed and tenant is not None:
            raise ValidationError({"acts_for": ["Only a platform key acts for tenants; leave this empty."]})
        super().fill(row, values)

    def check(self) -> None:
        if self.instance is not None:
            # A new key has no prefix yet; issue() makes it and asks then.
            super().check()

    def update(self, instance: ApiKey, validated_data: Any) -> ApiKey:
        super().update(instance, validated_data)
        if self.allowed is not None:
            instance.acts_for.set(self.allowed)
        return instance


@extend_schema_serializer(
    examples=[
        OpenApiExample("A tenant's key", value={"name": "IVR production", "tenant": "acme"}, request_only=True),
        OpenApiExample(
            "A platform key",
            value={"name": "Gateway", "tenant": None, "acts_for": ["acme", "globex"]},
            request_only=True,
        ),
    ]
)
class NewKeySerializer(KeySerializer):
    """The response that creates a key: the only place where its token appears."""

    token = serializers.CharField(read_only=True, help_text="Keep it: it is not stored and not shown again.")

    class Meta(KeySerializer.Meta):
        fields = [*_FIELDS, "token"]

    def create(self, validated_data: Any) -> ApiKey:
        given, author = self.row, self.context["request"].user.get_username()
        try:
            key, token = ApiKey.objects.issue(
                name=given.name,
                tenant=given.tenant,
                expires_at=given.expires_at,
                max_class=given.max_class,
                created_by=author,
            )
        except DjangoValidationError as error:
            raise ValidationError(by_field(given, error)) from None
        if self.change_reason:
            update_change_reason(key, self.change_reason)
        key.acts_for.set(self.allowed or [])
        key.token = token  # type: ignore[attr-defined]
        return key


@extend_schema(tags=["keys"])
class KeyResource(Creates[ApiKey], Updates[ApiKey]):
    """API keys, by prefix. They are revoked, not deleted: the record of refusals names them."""

    queryset = ApiKey.objects.select_related("tenant").prefetch_related("acts_for")
    serializer_class = KeySerializer
    replaces_lists = frozenset({"acts_for"})
    enough = {"revoke": "tenants.revoke_apikey"}
    lookup_field = "prefix"
    lookup_value_regex = "[a-z0-9]{12}"
    filters = {
        "tenant": text("tenant__tenant_id", "ID of its tenant."),
        "acts_for": text("acts_for__tenant_id", "Platform keys that act for this tenant."),
        "platform": flag("tenant__isnull", "Platform keys only, or none of them."),
        "revoked": flag("revoked_at__isnull", "Revoked keys only, or none of them.", inverted=True),
    }
    search_fields = ["name", "prefix", "created_by"]
    ordering_fields = ["created_at", "name", "expires_at"]

    def get_serializer_class(self) -> type[KeySerializer]:
        return NewKeySerializer if self.action == "create" else KeySerializer

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Create a key. The response contains its token; this is the only time it is shown."""
        response = super().create(request, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response

    @extend_schema(request=None, responses={200: KeySerializer})
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, prefix: str) -> Response:
        """Refuse every call with this key from now on. Revoking twice keeps the first time."""
        with whole():
            key = self.get_object()
            explain(key, self.reason())
            key.revoke()
            return self._tagged(Response(self.get_serializer(key).data), key)
