"""``/api/incidents``: stretches of refusals by one limit, to read."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers

from limiter.incidents.models import Incident
from limiter.record.api.policy_fields import PolicyNameField, PolicyVersionField
from limiter.record.api.record import RecordResource
from quota_platform.base.api.filters import flag, moment, text


class IncidentSerializer(serializers.ModelSerializer[Incident]):
    """One limit that refused one tenant's calls from ``at`` to ``last_at``; ``ended_at`` is null while it lasts."""

    policy_name = PolicyNameField()
    policy_version = PolicyVersionField()
    by_key = serializers.DictField(child=serializers.IntegerField())
    by_action = serializers.DictField(child=serializers.IntegerField())

    class Meta:
        model = Incident
        fields = [
            "id",
            "at",
            "last_at",
            "ended_at",
            "tenant_id",
            "action_id",
            "limit_name",
            "policy_name",
            "policy_version",
            "refusals",
            "quota",
            "effective_limit",
            "p95_ms",
            "p95_samples",
            "threshold_ms",
            "by_key",
            "by_action",
            "acknowledged_at",
            "acknowledged_by",
            "owner",
        ]
        read_only_fields = fields


@extend_schema(tags=["incidents"])
class IncidentResource(RecordResource[Incident]):
    """Incidents, newest first. Nobody writes them here."""

    queryset = Incident.objects.all()
    serializer_class = IncidentSerializer
    filters = {
        "tenant": text("tenant_id", "ID of the tenant."),
        "action_id": text("action_id", "ID of the action."),
        "limit": text("limit_name", "Name of the limit."),
        "policy": text("policy_name", "Name of the policy."),
        "open": flag("ended_at__isnull", "Whether it lasts."),
        "since": moment("last_at__gte", "With a refusal at or after this time."),
        "until": moment("at__lt", "With a refusal before this time."),
    }
