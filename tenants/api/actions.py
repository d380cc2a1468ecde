"""``/api/actions``: what tenants may invoke."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from quota_platform.base.api.filters import choice, flag, text
from quota_platform.base.api.resource import Resource
from quota_platform.base.api.serializer import RowSerializer
from tenants import presets
from tenants.api.references import NameField
from tenants.models import Action, Tenant


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
class TextsField(serializers.JSONField):
    """An object of texts; the model says which."""


@extend_schema_field({"type": "array", "items": {"type": "string"}})
class KeysField(serializers.JSONField):
    """A list of texts; the model says which."""


@extend_schema_field({"type": "array", "items": {"type": "integer", "minimum": 200, "maximum": 599}})
class StatusesField(serializers.JSONField):
    """A list of HTTP statuses."""


@extend_schema_field(
    {"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]}}
)
class ValuesField(serializers.JSONField):
    """A list of texts, numbers, true and false; the model says which."""


def _help(field: str) -> str:
    return str(getattr(Action._meta.get_field(field), "help_text", ""))


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A web action", value={"tenant": "acme", "action_id": "createTicket", "cost": 2}, request_only=True
        )
    ]
)
class ActionSerializer(RowSerializer[Action]):
    """An action; assignments and overrides name it as ``tenant/action_id``."""

    fixed = {"tenant": "An action stays with its tenant; make another action instead."}

    tenant = NameField(
        queryset=Tenant.objects.select_related("connection"),
        by="tenant_id",
        max_length=64,
        help_text="Its tenant's ID.",
    )
    query_template = TextsField(required=False, help_text=_help("query_template"))
    param_map = KeysField(required=False, help_text=_help("param_map"))
    failure_values = ValuesField(required=False, help_text=_help("failure_values"))
    success_statuses = StatusesField(required=False, help_text=_help("success_statuses"))

    class Meta:
        model = Action
        fields = [
            "id",
            "tenant",
            "action_id",
            "kind",
            "enabled",
            "cost",
            "cost_from",
            "min_cost",
            "max_cost",
            "cost_without",
            "timeout_ms",
            "idempotent",
            "method",
            "path_template",
            "query_template",
            "param_map",
            "success_statuses",
            "failure_at",
            "failure_when",
            "failure_values",
            "failure_counts_as",
            "skill_id",
            "script_path",
            "script_id",
            "point_of_contact",
            "description",
            "reason",
        ]
        validators: list[Any] = []


@extend_schema(tags=["actions"])
class ActionResource(Resource[Action]):
    """What tenants may invoke, and the upstream call that each stands for."""

    queryset = Action.objects.select_related("tenant__connection")
    serializer_class = ActionSerializer
    filters = {
        "tenant": text("tenant__tenant_id", "ID of its tenant."),
        "action_id": text("action_id", "The action's ID."),
        "kind": choice("kind", "The upstream endpoint it calls.", presets.KINDS),
        "enabled": flag("enabled", "Whether it may be invoked."),
    }
    search_fields = ["action_id", "description", "tenant__tenant_id"]
    ordering_fields = ["tenant__tenant_id", "action_id", "cost"]
