"""``/api/overrides``: temporary changes, each with a reason and an end."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer

from limiter.policies import foreseen
from limiter.policies.api.asking import ConfirmCutField, ask
from limiter.policies.models import Override
from quota_platform.base.api.filters import choice, moment, text
from quota_platform.base.api.resource import Resource
from quota_platform.base.api.serializer import RowSerializer
from tenants.api.references import ActionField, NameField
from tenants.models import Tenant


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Twice the limit for an afternoon",
            value={
                "tenant": "acme",
                "effect": "factor",
                "factor": 2,
                "starts_at": "2030-05-02T12:00:00Z",
                "ends_at": "2030-05-02T18:00:00Z",
                "reason": "campaign",
            },
            request_only=True,
        )
    ]
)
class OverrideSerializer(RowSerializer[Override]):
    """An override. Its ``reason`` is part of the row and is kept in the history, too."""

    reason = None  # type: ignore[assignment]
    tenant = NameField(queryset=Tenant.objects.all(), by="tenant_id", max_length=64, help_text="Its ID.")
    action = ActionField(
        max_length=200, required=False, allow_null=True, help_text="tenant/action_id; null for all actions."
    )

    confirm_cut = ConfirmCutField()

    class Meta:
        model = Override
        fields = [
            "id",
            "tenant",
            "action",
            "limit_name",
            "effect",
            "factor",
            "quota",
            "starts_at",
            "ends_at",
            "reason",
            "created_by",
            "confirm_cut",
        ]
        read_only_fields = ["created_by"]
        validators: list[Any] = []

    def fill(self, row: Override, values: dict[str, Any]) -> None:
        self.asks = values.pop("confirm_cut", True) is False
        super().fill(row, values)
        if self.instance is None:
            row.created_by = self.context["request"].user.get_username()

    def check(self) -> None:
        super().check()
        if self.asks:
            ask(foreseen.by_override(self.row), self.context["request"].user)


@extend_schema(tags=["overrides"])
class OverrideResource(Resource[Override]):
    """Temporary changes for a tenant or one of its actions. They start and end by themselves."""

    queryset = Override.objects.select_related("tenant", "action__tenant")
    serializer_class = OverrideSerializer
    filters = {
        "tenant": text("tenant__tenant_id", "ID of its tenant."),
        "action_id": text("action__action_id", "ID of the action it is for."),
        "effect": choice("effect", "Its effect.", Override.Effect.values),
        "in_force_at": moment("starts_at__lte", "Those in force at this time.", "ends_at__gt"),
        "ends_after": moment("ends_at__gt", "Those that end after this time."),
    }
    search_fields = ["tenant__tenant_id", "reason", "created_by"]
    ordering_fields = ["starts_at", "ends_at", "tenant__tenant_id"]
