"""``/api/assignments``: which policy applies to everyone, a tenant or an action."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_serializer
from rest_framework.request import Request
from rest_framework.response import Response

from limiter.policies import foreseen
from limiter.policies.api.asking import ASKS, ConfirmCutField, ask, confirmed
from limiter.policies.models import Assignment, QuotaPolicy
from quota_platform.base.api.filters import choice, text
from quota_platform.base.api.resource import Resource
from quota_platform.base.api.serializer import RowSerializer
from tenants.api.references import ActionField, NameField
from tenants.models import Tenant


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A tenant's plan", value={"policy": "Gold", "target": "tenant", "tenant": "acme"}, request_only=True
        ),
        OpenApiExample(
            "An action's own policy",
            value={"policy": "Slow lane", "target": "action", "action": "acme/lookupOrder"},
            request_only=True,
        ),
    ]
)
class AssignmentSerializer(RowSerializer[Assignment]):
    """An assignment. Of two that meet in a call the narrower wins: action over tenant over everyone, name by name."""

    policy = NameField(queryset=QuotaPolicy.objects.all(), by="name", max_length=80, help_text="Its name.")
    tenant = NameField(
        queryset=Tenant.objects.all(),
        by="tenant_id",
        max_length=64,
        required=False,
        allow_null=True,
        help_text="For target tenant: its ID.",
    )
    action = ActionField(
        max_length=200, required=False, allow_null=True, help_text="For target action: tenant/action_id."
    )

    confirm_cut = ConfirmCutField()

    class Meta:
        model = Assignment
        fields = ["id", "policy", "target", "tenant", "action", "confirm_cut", "reason"]
        validators: list[Any] = []

    def fill(self, row: Assignment, values: dict[str, Any]) -> None:
        self.asks = values.pop("confirm_cut", True) is False
        super().fill(row, values)

    def check(self) -> None:
        super().check()
        if self.asks:
            ask(foreseen.by_assignment(self.row), self.context["request"].user)


@extend_schema(tags=["assignments"])
class AssignmentResource(Resource[Assignment]):
    """Which policy applies to which tenants and actions. Everyone, each tenant and each action have one at most."""

    queryset = Assignment.objects.select_related("policy", "tenant", "action__tenant")
    serializer_class = AssignmentSerializer
    filters = {
        "policy": text("policy__name", "Name of the policy."),
        "target": choice("target", "The kind of its target.", Assignment.Target.values),
        "tenant": text("tenant__tenant_id", "ID of the tenant it is for."),
        "action_id": text("action__action_id", "ID of the action it is for, of any tenant."),
    }
    search_fields = ["policy__name", "tenant__tenant_id", "action__action_id"]
    ordering_fields = ["id", "policy__name", "target"]

    @extend_schema(parameters=[OpenApiParameter("confirm_cut", bool, description=ASKS)])
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().destroy(request, *args, **kwargs)

    def perform_destroy(self, instance: Assignment) -> None:
        if not confirmed(self.request):
            hits = foreseen.by_assignment(instance, removed=True)
            ask(hits, self.request.user, how="Leave confirm_cut out to remove it.")
        super().perform_destroy(instance)
