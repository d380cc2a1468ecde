"""``/api/policies``: policies with their limits, written as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from limiter.policies import cuts
from limiter.policies.advice import advice
from limiter.policies.api.asking import ConfirmCutField, ConfirmWarningsField, ask, ask_about
from limiter.policies.api.limits import LimitEdit, LimitSerializer, plan
from limiter.policies.api.versions import WithVersions
from limiter.policies.models import QuotaLimit, QuotaPolicy
from limiter.policies.models.limit import MAX_LIMITS
from limiter.policies.models.policy import MAX_ALERTS
from limiter.policies.models.version import one_version
from quota_platform.base.api.errors import Conflict, PreconditionFailed
from quota_platform.base.api.filters import choice, flag, text
from quota_platform.base.api.serializer import RowSerializer


def _stale(policy: QuotaPolicy) -> str:
    return f"This policy is at version {policy.version} now; read it again and repeat your change."


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A plan",
            value={
                "name": "Gold",
                "limits": [
                    {"name": "minute", "quota": 600, "window_seconds": 60},
                    {
                        "name": "day",
                        "algorithm": "sliding_counter",
                        "quota": 100000,
                        "window_seconds": 86400,
                        "counted_per": "tenant",
                    },
                ],
                "reason": "contract 4711",
            },
            request_only=True,
        )
    ]
)
class PolicySerializer(RowSerializer[QuotaPolicy]):
    """A policy and all its limits. ``limits`` replaces the stored list: same name changes, missing name deletes."""

    version = serializers.IntegerField(
        min_value=1,
        required=False,
        help_text="Rises with every edit. Send the one you read to get a 409 if somebody was faster.",
    )
    limits = LimitSerializer(many=True, max_length=MAX_LIMITS)  # type: ignore[call-arg]

    alert_at = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=100),
        max_length=MAX_ALERTS,
        required=False,
        help_text="Percent of a limit in force, as used, at which an alert starts: ascending; empty for none.",
    )

    confirm_cut = ConfirmCutField()
    confirm_warnings = ConfirmWarningsField()

    class Meta:
        model = QuotaPolicy
        fields = [
            "id",
            "name",
            "version",
            "description",
            "mode",
            "store_failure",
            "reduced_status",
            "wait_seconds",
            "reserve_seconds",
            "adaptive",
            "cut_carrier",
            "adaptive_scope",
            "cut_on_pushback",
            "latency_threshold_ms",
            "sensitivity",
            "min_multiplier",
            "max_multiplier",
            "sample_size",
            "min_samples",
            "sample_max_age_seconds",
            "alert_at",
            "limits",
            "confirm_cut",
            "confirm_warnings",
            "reason",
        ]
        validators: list[Any] = []

    def validate_version(self, version: int) -> int:
        if self.instance is None:
            raise ValidationError("The platform sets this; leave it out.")
        if version != self.instance.version:
            raise Conflict(_stale(self.instance), current_version=self.instance.version)
        return version

    def fill(self, row: QuotaPolicy, values: dict[str, Any]) -> None:
        values.pop("version", None)
        self.lines = values.pop("limits", None)
        self.asks = values.pop("confirm_cut", True) is False
        self.warns = values.pop("confirm_warnings", True) is False
        super().fill(row, values)

    def check(self) -> None:
        super().check()
        stored = [] if self.row.pk is None else [_values(line) for line in self.row.limits.all()]
        self.edit: LimitEdit = plan(self.row, stored if self.lines is None else self.lines)
        self.edit.require(self.context["request"].user)
        if self.asks:
            hits = [hit for of in cuts.hits(self.row, self.edit.wanted).values() for hit in of]
            ask(hits, self.context["request"].user)
        if self.warns:
            ask_about(advice(self.row, self.edit.wanted))

    def create(self, validated_data: Any) -> QuotaPolicy:
        return self._save()

    def update(self, instance: QuotaPolicy, validated_data: Any) -> QuotaPolicy:
        return self._save() if self.changed() or self.edit else instance

    def _save(self) -> QuotaPolicy:
        with one_version(self.change_reason):
            self.row.save()
            self.edit.save(self.row)
        return self.row


def _values(line: QuotaLimit) -> dict[str, Any]:
    return {name: getattr(line, name) for name in LimitSerializer.Meta.fields}


class WarningsSerializer(serializers.Serializer[Any]):
    """What a policy may say but hardly means."""

    warnings = serializers.ListField(child=serializers.CharField(), help_text="Sentences; empty for none.")


@extend_schema(tags=["policies"])
class PolicyResource(WithVersions):
    """Policies with their limits. A change is one transaction and one version, and reaches every worker within 1 s."""

    queryset = QuotaPolicy.objects.prefetch_related("limits")
    serializer_class = PolicySerializer
    also_shows = (QuotaLimit,)
    replaces_lists = frozenset({"limits"})
    filters = {
        "name": text("name", "The policy's name."),
        "mode": choice("mode", "Enforcing, or only recording.", QuotaPolicy.Mode.values),
        "adaptive": flag("adaptive", "Whether its limits follow the upstream's latency."),
    }
    search_fields = ["name", "description"]
    ordering_fields = ["name", "version"]

    @extend_schema(responses={200: WarningsSerializer}, filters=False)
    @action(detail=True, methods=["get"])
    def warnings(self, request: Request, id: str) -> Response:
        """What the form would warn about, as the policy and those that share its limits are now."""
        policy = self.get_object()
        return Response({"warnings": advice(policy, policy.limits.all())})

    def tags(self, row: QuotaPolicy, shown: Any = None) -> list[str]:
        """The version in quotes is a tag as well: it stands in the body, and the release before sent it."""
        return [*super().tags(row, shown), f'"{row.version}"']

    def stale(self, row: QuotaPolicy) -> PreconditionFailed:
        return PreconditionFailed(_stale(row), current_version=row.version)

    def _has_to_say(self) -> bool:
        """The version in the body of an edit is the one that was read; that of a restoration is the one wanted."""
        body = self.request.data
        named = self.action != "restore" and isinstance(body, Mapping) and "version" in body
        return super()._has_to_say() and not named
