"""``/api/policies/presets``: policies to start from, and making them."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from limiter.policies import presets
from limiter.policies.api.limits import LimitSerializer
from limiter.policies.models import QuotaPolicy
from limiter.policies.presets import PolicyPreset
from quota_platform.base import row_access
from quota_platform.base.api.resource import Resource
from quota_platform.base.api.serializer import ReasonField, StrictBody


class PresetPolicySerializer(serializers.Serializer[Any]):
    """One policy that a preset makes."""

    name = serializers.CharField()
    description = serializers.CharField()
    limits = LimitSerializer(many=True)


class PresetSerializer(serializers.Serializer[Any]):
    """Policies to start from."""

    name = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    published_at = serializers.CharField(help_text="Where the limits are published.")
    policies = PresetPolicySerializer(many=True)


class PresetsSerializer(serializers.Serializer[Any]):
    """All presets."""

    presets = PresetSerializer(many=True)


class FromPresetSerializer(StrictBody):
    """Which preset, and why."""

    preset = serializers.ChoiceField(choices=sorted(presets.PRESETS))
    reason = ReasonField(required=False, allow_blank=True, help_text="Why; kept in the history.")


class MadePolicySerializer(serializers.Serializer[Any]):
    """A policy that was made."""

    id = serializers.IntegerField()
    name = serializers.CharField()


class MadeSerializer(serializers.Serializer[Any]):
    """The policies that were made."""

    policies = MadePolicySerializer(many=True)


class FromPresets(Resource[QuotaPolicy]):
    """Policies that can be made from a preset."""

    @extend_schema(responses={200: PresetsSerializer}, filters=False)
    @action(detail=False, methods=["get"], pagination_class=None)
    def presets(self, request: Request) -> Response:
        """Policies to start from: published limits of upstreams."""
        return Response({"presets": [_shown(each) for each in presets.PRESETS.values()]})

    @extend_schema(request=FromPresetSerializer, responses={201: MadeSerializer})
    @presets.mapping.post
    def from_preset(self, request: Request) -> Response:
        """Make the policies of a preset, all or none. They apply to nobody until you assign them."""
        if not request.user.has_perm("limiter.add_quotalimit"):
            raise PermissionDenied("You may not add limits.")
        if not row_access.may_make(request.user, QuotaPolicy):
            raise PermissionDenied(row_access.NOT_YOURS)
        asked = FromPresetSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        reason = asked.validated_data.get("reason") or self.reason()
        try:
            made = presets.make(presets.PRESETS[asked.validated_data["preset"]], reason=reason)
        except presets.NamesTaken as error:
            raise ValidationError({"preset": error.messages}) from None
        return Response({"policies": [{"id": row.pk, "name": row.name} for row in made]}, status=201)


def _shown(preset: PolicyPreset) -> dict[str, Any]:
    policies = [
        {
            "name": each.name,
            "description": each.row().description,
            "limits": LimitSerializer(each.limits(), many=True).data,
        }
        for each in preset.policies
    ]
    said = {"name": preset.name, "title": _(preset.label), "description": _(preset.description)}
    return {**said, "published_at": preset.source, "policies": policies}
