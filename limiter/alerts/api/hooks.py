"""``/api/alert-hooks``: contact points; ``/api/alert-deliveries``: the messages, and whether they arrived."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from limiter.alerts import deliveries, posting
from limiter.alerts.kinds.registry import KINDS
from limiter.alerts.models import AlertDelivery, AlertHook
from limiter.record.api.record import RecordResource
from quota_platform.base.api.filters import choice, flag, number, text
from quota_platform.base.api.resource import Resource, whole
from quota_platform.base.api.serializer import RowSerializer, explain
from quota_platform.base.events import MAX_NAME
from tenants.api.references import NameField
from tenants.models import Tenant

_FIELDS = [
    *("id", "name", "kind", "tenant", "url", "credential", "credential_set", "recipients"),
    *("events", "from_threshold", "from_severity", "tell_ends"),
    *("active_days", "active_from", "active_until", "time_zone", "enabled"),
    *("stopped_because", "failures", "created_by", "created_at", "reason"),
]


class HookSerializer(RowSerializer[AlertHook]):
    """A contact point without its secret."""

    tenant = NameField(
        queryset=Tenant.objects.all(),
        by="tenant_id",
        max_length=64,
        allow_null=True,
        default=None,
        help_text="Whose alerts, by its ID; null for every tenant's.",
    )

    credential = serializers.CharField(
        write_only=True,
        required=False,
        max_length=4096,
        trim_whitespace=False,
        style={"input_type": "password"},
        help_text="PagerDuty: an integration key; Opsgenie: an API key. Sealed, never shown. Left out: it stays.",
    )
    credential_set = serializers.SerializerMethodField(help_text="Whether a secret is stored.")
    recipients = serializers.ListField(
        child=serializers.CharField(max_length=254), required=False, help_text="Mail addresses, for the kind mail."
    )
    events = serializers.ListField(
        child=serializers.CharField(max_length=MAX_NAME),
        required=False,
        help_text="Names of the events that it gets, for example `key.revoked`; docs/alerts.md lists them.",
    )
    fixed = {"kind": "A contact point keeps its kind. Create another one."}

    class Meta:
        model = AlertHook
        fields = _FIELDS
        read_only_fields = ["stopped_because", "failures", "created_by", "created_at"]
        validators: list[object] = []

    def get_credential_set(self, row: AlertHook) -> bool:
        return bool(row.secret_sealed)

    def fill(self, row: AlertHook, values: dict[str, Any]) -> None:
        credential = values.pop("credential", "")
        super().fill(row, values)
        if credential and not row.contact.credential:
            raise serializers.ValidationError({"credential": ["This kind of contact point has no key to enter."]})
        if credential:
            row.seal(credential)


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

    secret = serializers.CharField(
        read_only=True, allow_null=True, help_text="Of a signed hook, otherwise null. Keep it: it is not shown again."
    )

    class Meta(HookSerializer.Meta):
        fields = [*_FIELDS, "secret"]

    def fill(self, row: AlertHook, values: dict[str, Any]) -> None:
        super().fill(row, values)
        row.created_by = self.context["request"].user.get_username()
        self.shown = row.renew_secret() if row.contact.signs else None

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
    """Contact points: they get a message when an alert starts or ends, or another event happens that they chose."""

    queryset = AlertHook.objects.select_related("tenant")
    serializer_class = HookSerializer
    filters = {
        "tenant": text("tenant__tenant_id", "ID of its tenant."),
        "kind": choice("kind", "Its kind.", list(KINDS)),
        "enabled": flag("enabled", "Those that are switched on, or off."),
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
            if not hook.contact.signs:
                raise serializers.ValidationError(
                    {"kind": ["Only a signed hook has a signing secret. PATCH its credential."]}
                )
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
