"""``/api/team-entries``: what people did about alerts and incidents, to read and to add to."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from limiter.alerts.models import Alert
from limiter.incidents import team
from limiter.incidents.models import Incident, TeamEntry
from limiter.incidents.models.entry import MAX_TEXT
from limiter.incidents.team import Wish
from limiter.record.api.record import RecordResource
from quota_platform.base import row_access
from quota_platform.base.api.filters import choice, moment, number, text
from quota_platform.base.api.serializer import by_field


class TeamEntrySerializer(serializers.ModelSerializer[TeamEntry]):
    """One act of a person."""

    class Meta:
        model = TeamEntry
        fields = [
            *("id", "at", "by", "kind", "incident", "tenant_id", "action_id", "limit_name", "text", "until", "to"),
        ]
        read_only_fields = fields


@extend_schema_serializer(
    examples=[
        OpenApiExample("Mute", value={"alert": 12, "kind": "muted", "until": "2026-11-29T14:00:00Z"}),
        OpenApiExample("Hand over", value={"incident": 7, "kind": "handed_over", "to": "ben", "text": "Unit is slow."}),
    ]
)
class WishSerializer(serializers.Serializer[Any]):
    """An act about one incident, or about one alert."""

    incident = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
    alert = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
    kind = serializers.ChoiceField(choices=TeamEntry.Kind.choices)
    text = serializers.CharField(required=False, allow_blank=True, max_length=MAX_TEXT, default="")
    until = serializers.DateTimeField(required=False, allow_null=True, default=None, help_text="Of a mute.")
    to = serializers.CharField(
        required=False, allow_blank=True, max_length=150, default="", help_text="User name of who gets the incident."
    )


@extend_schema(tags=["incidents"])
class TeamEntryResource(RecordResource[TeamEntry]):
    """Acts of people, newest first."""

    queryset = TeamEntry.objects.all()
    serializer_class = TeamEntrySerializer
    filters = {
        "tenant": text("tenant_id", "ID of the tenant."),
        "incident": number("incident_id", "Number of the incident."),
        "kind": choice("kind", "Kind of act.", TeamEntry.Kind.values),
        "since": moment("at__gte", "At or after this time."),
        "until": moment("at__lt", "Before this time."),
    }

    @extend_schema(request=WishSerializer, responses={201: TeamEntrySerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Acknowledge, mute, unmute, write a note, assign or hand over."""
        asked = WishSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        values = asked.validated_data
        target = _target(request, values)
        wish = Wish(values["kind"], values["text"], values["until"], values["to"])
        try:
            entry = team.act(target, wish, person=request.user)
        except DjangoValidationError as error:
            raise serializers.ValidationError(by_field(TeamEntry(), error)) from None
        return Response(TeamEntrySerializer(entry).data, status=201)


def _target(request: Request, values: dict[str, Any]) -> Incident | Alert:
    """The row that is named; one of another tenant is one that is not there."""
    named = [name for name in ("incident", "alert") if values.get(name) is not None]
    if len(named) != 1:
        raise serializers.ValidationError({"incident": ["Give the number of an incident or of an alert."]})
    model: Any = Incident if named == ["incident"] else Alert
    found = row_access.seen(model.objects.filter(pk=values[named[0]]), request.user).first()
    if found is None:
        raise serializers.ValidationError({named[0]: ["There is none of this number."]})
    return found  # type: ignore[no-any-return]
