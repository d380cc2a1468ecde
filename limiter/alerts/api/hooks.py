"""``/api/alert-hooks``: where alerts are posted; ``/api/alert-deliveries``: the messages, and whether they arrived."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from limiter.alerts import deliveries, posting
from limiter.alerts.models import AlertDelivery, AlertHook
from limiter.record.api.record import RecordResource
from quota_platform.base.api.filters import choice, flag, number, text
from quota_platform.base.api.resource import Resource, whole
from quota_platform.base.api.serializer import RowSerializer, explain
from tenants.api.references import NameField
from tenants.models import Tenant

_FIELDS = [
    *("id", "name", "tenant", "url", "from_threshold", "tell_ends", "enabled", "stopped_because", "failures"),
    *("created_by", "created_at", "reason"),
]


class HookSerializer(RowSerializer[AlertHook]):
    """A hook without its secret."""

    tenant = NameField(
        queryset=Tenant.objects.all(),
        by="tenant_id",
        max_length=64,
        allow_null=True,
        default=None,
        help_text="Whose alerts, by its ID; null for every tenant's.",
    )

    class Meta:
        model = AlertHook
        fields = _FIELDS
        read_only_fields = ["stopped_because", "failures", "created_by", "created_at"]
        validators: list[object] = []


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A tenant's on-call",
            value={"name": "On-call", "tenant": "acme", "url": "https://hooks.example.com/quota"},
            request_only=True,
        )
    ]
)
class HookWithSecretSerializer(HookSerializer):
    """The response that creates a hook, or a new secret for one: the only place where a secret appears."""

    secret = serializers.CharField(read_only=True, help_text="Keep it: it is not shown again.")

    class Meta(HookSerializer.Meta):
        fields = [*_FIELDS, "secret"]

    def fill(self, row: AlertHook, values: dict[str, Any]) -> None:
        super().fill(row, values)
        row.created_by = self.context["request"].user.get_username()
        self.shown = row.renew_secret()

    def to_representation(self, instance: AlertHook) -> Any:
        return {**super().to_representation(instance), "secret": self.shown}


class DeliverySerializer(serializers.ModelSerializer[AlertDelivery]):
    """One message; ``message_id`` is what the receiver knows it by."""

    message_id = serializers.CharField(read_only=True)

    class Meta:
        model = AlertDelivery
        fields = [
            *("id", "message_id", "at", "hook", "alert", "tenant_id", "event", "state", "attempts", "status", "error"),
            *("finished_at", "next_at"),
        ]
        read_only_fields = fields


@extend_schema(tags=["alerts"])
class HookResource(Resource[AlertHook]):
    """Addresses that get a message when an alert starts or ends."""

    queryset = AlertHook.objects.select_related("tenant")
    serializer_class = HookSerializer
    filters = {
        "tenant": text("tenant__tenant_id", "ID of its tenant."),
        "enabled": flag("enabled", "Hooks that are switched on, or those that are off."),
    }
    search_fields = ["name", "url", "created_by"]
    ordering_fields = ["name", "created_at"]

    def get_serializer_class(self) -> type[HookSerializer]:
        return HookWithSecretSerializer if self.action == "create" else HookSerializer

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Create a hook. The response contains its signing secret; this is the only time it is shown."""
        response = super().create(request, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response

    @extend_schema(request=None, responses={200: HookWithSecretSerializer})
    @action(detail=True, methods=["post"], url_path="new-secret")
    def new_secret(self, request: Request, id: str) -> Response:
        """Replace the signing secret at once; only this response shows the new one."""
        with whole():
            hook = self.get_object()
            explain(hook, self.reason() or "New signing secret")
            secret = hook.renew_secret()
            hook.save()
            reply = Response({**self.get_serializer(hook).data, "secret": secret})
            reply["Cache-Control"] = "no-store"
            return self._tagged(reply, hook)

    @extend_schema(request=None, responses={200: DeliverySerializer})
    @action(detail=True, methods=["post"])
    def test(self, request: Request, id: str) -> Response:
        """Post a test now, once, and say how that went."""
        with whole():
            delivery = deliveries.put_test(self.get_object(), at=timezone.now())
        posting.try_out(delivery)
        return Response(DeliverySerializer(delivery).data)


@extend_schema(tags=["alerts"])
class DeliveryResource(RecordResource[AlertDelivery]):
    """Messages to hooks, newest first; read-only."""

    queryset = AlertDelivery.objects.all()
    serializer_class = DeliverySerializer
    filters = {
        "hook": number("hook_id", "Number of the hook."),
        "tenant": text("tenant_id", "ID of the tenant."),
        "state": choice("state", "How far it is.", AlertDelivery.State.values),
    }
