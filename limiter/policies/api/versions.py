"""``/api/policies/<id>/versions``: a policy's versions; ``restore``: putting one back in force."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.exceptions import ValidationError as Invalid
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from limiter.policies import cuts, sentences, versions
from limiter.policies.advice import advice
from limiter.policies.api.asking import ConfirmCutField, ConfirmWarningsField, ask, ask_about
from limiter.policies.api.limits import LimitEdit
from limiter.policies.api.presets import FromPresets
from limiter.policies.models import QuotaLimit, QuotaPolicy
from quota_platform.base import records
from quota_platform.base.api.resource import whole
from quota_platform.base.api.serializer import ReasonField, StrictBody
from quota_platform.base.versions import columns


class VersionSerializer(serializers.Serializer[Any]):
    """One version of a policy."""

    version = serializers.IntegerField()
    at = serializers.DateTimeField(help_text="When it was made.")
    by = serializers.CharField(help_text="Who made it; empty for a command and for a person who is deleted since.")
    reason = serializers.CharField()
    says = serializers.ListField(child=serializers.CharField(), help_text="The policy and its limits, in sentences.")


class RestoreSerializer(StrictBody):
    """Which version, and why."""

    version = serializers.IntegerField(min_value=1, help_text="The version to put back, as a new version.")
    confirm_cut = ConfirmCutField()
    confirm_warnings = ConfirmWarningsField()
    reason = ReasonField(required=False, allow_blank=True, help_text="Why; kept in the history.")


class WithVersions(FromPresets):
    """Policies whose earlier versions can be read and put back."""

    @extend_schema(responses={200: VersionSerializer(many=True)}, filters=False)
    @action(detail=True, methods=["get"])
    def versions(self, request: Request, id: str) -> Response:
        """The versions of a policy, newest first. Their numbers may have gaps: some edits need more than one."""
        rows = QuotaPolicy.history.filter(id=self.get_object().pk).exclude(history_type="-")
        newest = rows.select_related("history_user").order_by("-version", "-history_id")
        page = self.paginate_queryset(newest)
        assert page is not None
        return self.get_paginated_response(VersionSerializer(_shown(page), many=True).data)

    @extend_schema(request=RestoreSerializer)
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, id: str) -> Response:
        """Put an earlier version back in force, with its limits, as a new version. It needs If-Match."""
        with whole():
            current = self.get_object()
            asked = RestoreSerializer(data=request.data)
            asked.is_valid(raise_exception=True)
            number, values = asked.validated_data["version"], asked.validated_data
            then = versions.version_of(current.pk, number)
            if then is None:
                raise NotFound(f"This policy has no version {number}.")
            _edit(current, then.limits).require(request.user)
            if values.get("confirm_cut", True) is False:
                ask([hit for of in cuts.hits(current, then.limits).values() for hit in of], request.user)
            if values.get("confirm_warnings", True) is False:
                ask_about(advice(then.policy, then.limits))
            try:
                row = versions.restore(current.pk, version=number, reason=values.get("reason") or self.reason())
            except Invalid as error:
                raise ValidationError({"version": error.messages}) from None
            self._require_own(row)
            stored = QuotaPolicy.objects.prefetch_related("limits").get(pk=row.pk)
            return self._tagged(Response(self.get_serializer(stored).data), stored)

    def _has_to_say(self) -> bool:
        """It replaces all limits, as a PUT does."""
        return self.action == "restore" or super()._has_to_say()


def _shown(page: Sequence[Any]) -> Iterator[dict[str, Any]]:
    limits = versions.limits_by_version(page[0].id, [record.version for record in page]) if page else {}
    for record in page:
        yield {
            "version": record.version,
            "at": record.history_date,
            "by": records.editor(record),
            "reason": records.reason(record),
            "says": sentences.policy(record.instance, limits[record.version]),
        }


def _edit(current: QuotaPolicy, wanted: Sequence[QuotaLimit]) -> LimitEdit:
    """What a restoration does to the limits, for the rights that it needs."""
    present = {line.pk: line for line in current.limits.all()}
    kept = {line.pk for line in wanted}
    return LimitEdit(
        added=[line for line in wanted if line.pk not in present],
        changed=[line for line in wanted if line.pk in present and columns(line) != columns(present[line.pk])],
        removed=[line for pk, line in present.items() if pk not in kept],
    )
