"""``/api/tenants``: the customers of the platform."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework.exceptions import ValidationError

from quota_platform.base import row_access
from quota_platform.base.api.filters import choice, flag, text
from quota_platform.base.api.resource import Resource
from quota_platform.base.api.serializer import RowSerializer
from tenants.api.references import NameField
from tenants.models import Connection, Tenant


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A customer",
            value={"tenant_id": "initrode", "name": "Initrode", "connection": "sandbox", "reason": "new customer"},
            request_only=True,
        )
    ]
)
class TenantSerializer(RowSerializer[Tenant]):
    """A tenant; its actions, keys and assignments have routes of their own."""

    connection = NameField(queryset=Connection.objects.all(), by="name", max_length=64, help_text="Its name.")

    class Meta:
        model = Tenant
        fields = [
            "tenant_id",
            "name",
            "status",
            "connection",
            "envelope",
            "accept_unlisted_actions",
            "notes",
            "created_at",
            "reason",
        ]
        validators: list[object] = []

    def fill(self, row: Tenant, values: dict[str, Any]) -> None:
        renamed = self.instance is not None and values.get("tenant_id", row.tenant_id) != row.tenant_id
        if renamed and not row_access.sees_every_tenant(self.context["request"].user):
            raise ValidationError({"tenant_id": [f"A new ID opens the record of that ID. {row_access.NOT_YOURS}"]})
        super().fill(row, values)


@extend_schema(tags=["tenants"])
class TenantResource(Resource[Tenant]):
    """The customers of the platform. Deleting one deletes its actions, keys, assignments and overrides."""

    queryset = Tenant.objects.select_related("connection")
    serializer_class = TenantSerializer
    lookup_field = "tenant_id"
    lookup_value_regex = "[A-Za-z0-9._-]{1,64}"
    filters = {
        "status": choice("status", "Active or suspended.", Tenant.Status.values),
        "connection": text("connection__name", "Name of its connection."),
        "accept_unlisted_actions": flag("accept_unlisted_actions", "Whether it may invoke unregistered actions."),
    }
    search_fields = ["tenant_id", "name"]
    ordering_fields = ["tenant_id", "name", "created_at"]
