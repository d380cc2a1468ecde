"""``/api/events``: the record of refusals, to read."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers

from limiter.record.api.policy_fields import PolicyNameField, PolicyVersionField
from limiter.record.api.record import RecordResource
from limiter.record.models import ThrottleEvent
from limiter.record.models.event import LISTED_FIELDS
from quota_platform.base.api.filters import flag, moment, text


class EventSerializer(serializers.ModelSerializer[ThrottleEvent]):
    """One refusal, or what shadow mode would have refused."""

    policy_name = PolicyNameField()
    policy_version = PolicyVersionField()

    class Meta:
        model = ThrottleEvent
        fields = ["id", *LISTED_FIELDS]
        read_only_fields = fields


@extend_schema(tags=["events"])
class EventResource(RecordResource[ThrottleEvent]):
    """Throttle events, newest first. Nobody writes them here."""

    queryset = ThrottleEvent.objects.all()
    serializer_class = EventSerializer
    filters = {
        "tenant": text("tenant_id", "ID of the tenant."),
        "action_id": text("action_id", "ID of the action."),
        "key": text("key_prefix", "Prefix of the API key."),
        "policy": text("policy_name", "Name of the policy that refused."),
        "limit": text("limit_name", "Name of the limit that refused."),
        "decision_id": text("decision_id", "As the refusal's body names it."),
        "request_id": text("request_id", "As the X-Request-Id header names it."),
        "shadow": flag("shadow", "Whether it was only recorded."),
        "since": moment("at__gte", "At or after this time."),
        "until": moment("at__lt", "Before this time."),
    }
