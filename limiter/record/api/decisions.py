"""``/api/decisions/<decision_id>``: why a call was refused."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from limiter.record import by_decision, explain
from limiter.record.api.events import EventSerializer
from limiter.record.api.policy_fields import PolicyNameField, PolicyVersionField
from limiter.record.models import ThrottleEvent
from quota_platform.base import row_access
from quota_platform.base.api.permissions import ModelPermissions


class LimitThenSerializer(serializers.Serializer[Any]):
    """One limit as it stood when the call was decided."""

    name = serializers.CharField()
    policy = PolicyNameField()
    policy_version = PolicyVersionField()
    algorithm = serializers.CharField()
    counted_per = serializers.CharField()
    quota = serializers.IntegerField()
    burst = serializers.IntegerField(allow_null=True)
    window_seconds = serializers.FloatField(allow_null=True)
    used = serializers.IntegerField()
    effective_limit = serializers.IntegerField()
    shadow = serializers.BooleanField()
    refused = serializers.BooleanField()
    passes_at = serializers.DateTimeField(allow_null=True)
    share = serializers.DictField(child=serializers.IntegerField(), allow_null=True)
    counted_by = serializers.CharField()
    value = serializers.CharField()


class MultiplierThenSerializer(serializers.Serializer[Any]):
    """The multiplier and the samples behind it."""

    value = serializers.FloatField()
    p95_ms = serializers.FloatField(allow_null=True)
    samples = serializers.IntegerField(allow_null=True)
    threshold_ms = serializers.FloatField(allow_null=True)
    set_at = serializers.DateTimeField(allow_null=True)


class PolicyThenSerializer(serializers.Serializer[Any]):
    """The policy version that refused, and who had made it. Without a name: a limit that no policy has."""

    name = PolicyNameField()
    version = PolicyVersionField()
    changed_by = serializers.CharField()
    changed_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField()
    version_now = serializers.IntegerField(allow_null=True)


class DecisionSerializer(serializers.Serializer[Any]):
    """Why a call was refused, and what would have let it pass."""

    event = EventSerializer()
    sentence = serializers.CharField()
    alone = serializers.BooleanField(
        source="event.alone", help_text="Decided by one worker because the limiter's store was unavailable."
    )
    one_of = serializers.IntegerField(
        source="event.count",
        help_text="Calls that the event stands for: above 1 for those of a flood. Its numbers are those of the last.",
    )
    limits = LimitThenSerializer(many=True)
    multiplier = MultiplierThenSerializer()
    policy = PolicyThenSerializer()
    passes_at = serializers.DateTimeField(allow_null=True)
    remedies = serializers.ListField(child=serializers.CharField())


@extend_schema(tags=["events"])
class DecisionResource(GenericViewSet[ThrottleEvent]):
    """A refusal explained. Only refusals are kept, not the decisions that let a call pass."""

    queryset = ThrottleEvent.objects.all()
    permission_classes = [ModelPermissions]
    serializer_class = DecisionSerializer
    lookup_field = "decision_id"
    lookup_value_regex = "[A-Za-z0-9_-]{1,32}"

    def retrieve(self, request: Request, decision_id: str) -> Response:
        """Why the call with this decision ID was refused; the refusal's body names it."""
        event = by_decision.event_of(decision_id, among=row_access.seen(self.get_queryset(), request.user))
        if event is None:
            raise NotFound(
                "No refusal is kept under this decision ID. It may not be stored yet: try again in a few seconds."
            )
        return Response(self.get_serializer(explain.explain(event)).data)
