"""``/api/alerts``: limits that were nearly used up, to read."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers

from limiter.alerts.models import Alert
from limiter.record.api.record import RecordResource
from quota_platform.base.api.filters import flag, moment, text


class AlertSerializer(serializers.ModelSerializer[Alert]):
    """One limit at or above one threshold, since ``at``; ``ended_at`` is null while it lasts."""

    class Meta:
        model = Alert
        fields = [
            "id",
            "at",
            "ended_at",
            "ending",
            "tenant_id",
            "action_id",
            "limit_name",
            "policy_name",
            "policy_version",
            "threshold",
            "used",
            "effective_limit",
            "full_in_s",
            "shadow",
            "muted",
            "acknowledged_at",
            "acknowledged_by",
        ]
        read_only_fields = fields


@extend_schema(tags=["alerts"])
class AlertResource(RecordResource[Alert]):
    """Alerts, newest first. Nobody writes them here."""

    queryset = Alert.objects.all()
    serializer_class = AlertSerializer
    filters = {
        "tenant": text("tenant_id", "ID of the tenant."),
        "action_id": text("action_id", "ID of the action."),
        "limit": text("limit_name", "Name of the limit."),
        "policy": text("policy_name", "Name of the policy."),
        "open": flag("ended_at__isnull", "Whether it lasts."),
        "since": moment("at__gte", "Started at or after this time."),
        "until": moment("at__lt", "Started before this time."),
    }
