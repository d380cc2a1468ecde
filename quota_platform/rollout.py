"""``/api/rollout``: whether the workers decide by an edit already."""

from __future__ import annotations

from typing import Any

import redis
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from limiter import clients
from limiter.gateway import heartbeat, rollout
from quota_platform.base import changes
from quota_platform.base.models.change import Change

_MAX_CHANGE = 2**63 - 1
_RIGHTS = ("limiter.view_quotapolicy", "tenants.view_tenant", "tenants.view_connection")


class HeartbeatsUnavailable(APIException):
    """Heartbeats cannot be read."""

    status_code = 503
    default_detail = "The limiter's store cannot be read at present; try again in a moment."
    default_code = "store_unavailable"


class RolloutSerializer(serializers.Serializer[Any]):
    """How far an edit has come."""

    change = serializers.IntegerField(help_text="The edit's number in the change feed.")
    made_at = serializers.DateTimeField(allow_null=True, help_text="Null after an hour, when the feed forgets it.")
    workers = serializers.IntegerField(help_text="Workers that were heard lately.")
    live = serializers.IntegerField(help_text="Those of them that decide by the edit.")
    seconds = serializers.FloatField(allow_null=True, help_text="Until all did; null while some do not.")


class SeesWhatIsRolledOut(BasePermission):
    """People who see policies, tenants or connections: the rows whose edits workers have to hear of."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return any(request.user.has_perm(right) for right in _RIGHTS)


class RolloutView(APIView):
    """Tells nothing of any tenant: numbers of workers and of edits."""

    permission_classes = (SeesWhatIsRolledOut,)

    @extend_schema(
        tags=["rollout"],
        parameters=[OpenApiParameter("change", int, description="The edit's number; left out, the newest edit's.")],
        responses={200: RolloutSerializer},
    )
    def get(self, request: Request) -> Response:
        """On how many workers an edit is live, and after how many seconds it was on all."""
        change = _number(request.query_params.get("change", "")) or changes.latest_id()
        row = Change.objects.filter(pk=change).first()
        client = clients.client()
        try:
            beats = heartbeat.read(client)
        except redis.RedisError:
            raise HeartbeatsUnavailable from None
        finally:
            client.close()
        found = rollout.of(change, row.at.timestamp() if row else None, beats)
        shown = {"change": change, "made_at": row.at if row else None, "workers": found.workers, "live": found.live}
        return Response(RolloutSerializer({**shown, "seconds": found.seconds}).data)


def _number(text: str) -> int:
    if not text:
        return 0
    if not text.isdecimal() or not 0 < int(text[:20]) <= _MAX_CHANGE:
        raise ValidationError({"change": ["Give the number of an edit, or leave it out for the newest."]})
    return int(text)
