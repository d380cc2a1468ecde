"""``/api/exports``: order, watch, cancel and fetch exports; ``/api/events.csv``: a small one at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import QuerySet
from django.http import JsonResponse, StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, PermissionDenied, ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from limiter.reports import access, build, orders, selection, sources, streaming
from limiter.reports.formats import csv_gz
from limiter.reports.models import Export
from limiter.reports.selection import Selection
from quota_platform.base.api.resource import Creates, whole
from quota_platform.base.api.serializer import StrictSerializer, by_field
from tenants.scope import names_of

AT_ONCE = 100_000
"""Rows that ``/api/events.csv`` sends; more is work for an export."""


class NameList(serializers.ListField):
    """Names to filter by; none is all."""

    child = serializers.CharField(max_length=128)


class ExportSerializer(StrictSerializer[Export]):
    """An order and how far it is."""

    tenants = NameList(required=False, max_length=500)
    actions = NameList(required=False, max_length=500)
    policies = NameList(required=False, max_length=500)

    class Meta:
        model = Export
        fields = [
            "id",
            "kind",
            "format",
            "since",
            "until",
            "tenants",
            "actions",
            "policies",
            "time_zone",
            "requested_name",
            "created_at",
            "state",
            "rows",
            "finished_at",
            "expires_at",
            "error",
        ]
        read_only_fields = ["id", "requested_name", "created_at", "state", "rows", "finished_at", "expires_at", "error"]

    def create(self, validated_data: Any) -> Export:
        export = Export(**validated_data)
        try:
            return orders.order(export, user=self.context["request"].user)
        except DjangoValidationError as error:
            raise ValidationError(by_field(export, error)) from None
        except DjangoPermissionDenied as error:
            raise PermissionDenied(str(error)) from None


@extend_schema(tags=["exports"])
class ExportResource(Creates[Export]):
    """Exports of the record: a person sees their own, a superuser all."""

    queryset = Export.objects.all()
    serializer_class = ExportSerializer
    lookup_field = "id"
    lookup_value_regex = "[0-9a-f-]{1,36}"
    list_parameters = ("page", "page_size")

    def get_queryset(self) -> QuerySet[Export]:
        rows = super().get_queryset()
        return rows & access.exports_of(self.request.user) if self.request else rows

    @extend_schema(request=None, responses=ExportSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, id: str) -> Response:
        """End an export that waits or is being built."""
        with whole():
            export = self.get_object()
            build.cancel(export)
            export.refresh_from_db()
            return self._tagged(Response(self.get_serializer(export).data), export)

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get"])
    def download(self, request: Request, id: str) -> StreamingHttpResponse:
        """The file, while it is kept."""
        return streaming.download(request._request, self._done(request))

    @extend_schema(responses=OpenApiTypes.OBJECT)
    @action(detail=True, methods=["get"])
    def manifest(self, request: Request, id: str) -> JsonResponse:
        """The signed manifest of the file."""
        return streaming.manifest(self._done(request))

    def _done(self, request: Request) -> Export:
        export = self.get_object()
        if export.state != Export.State.DONE or not access.may_download(request.user, export):
            raise NotFound("There is no file: the export is not done, is over, or is not yours to see.")
        return export


class ExportRequest(serializers.Serializer[Any]):
    """The query of ``/api/events.csv``."""

    since = serializers.DateTimeField(required=False, help_text="Default: a day before the end.")
    until = serializers.DateTimeField(required=False, help_text="Default: now.")
    tenant = serializers.CharField(required=False, max_length=64)
    action_id = serializers.CharField(required=False, max_length=128)
    policy = serializers.CharField(required=False, max_length=80)
    time_zone = serializers.CharField(
        required=False, max_length=64, help_text="Of the times in the file, for example Europe/Berlin. Default: UTC."
    )


class MayExportEvents(BasePermission):
    """Those who may order an export of events."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return access.may_export(request.user, Export.Kind.EVENTS)


class EventsCsv(APIView):
    """Throttle events as CSV, at once, when they are few."""

    permission_classes = [MayExportEvents]

    @extend_schema(
        tags=["exports"],
        operation_id="events_csv",
        parameters=[ExportRequest],
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        asked = ExportRequest(data=request.query_params)
        asked.is_valid(raise_exception=True)
        chosen = _chosen(asked.validated_data, scope=names_of(request.user))
        if sources.events(chosen).order_by()[: AT_ONCE + 1].count() > AT_ONCE:
            raise ValidationError({"until": [f"More than {AT_ONCE:,} events; order an export, or ask for less time."]})
        pieces = csv_gz.chunks(sources.columns(chosen), sources.rows(chosen), zone=chosen.zone)
        return streaming.stream(request._request, pieces, name="events.csv", content_type="text/csv; charset=utf-8")


def _chosen(asked: dict[str, Any], *, scope: frozenset[str] | None) -> Selection:
    until = asked.get("until", timezone.now())
    since = asked["since"] if "since" in asked else until - timedelta(days=1)
    export = Export(kind=Export.Kind.EVENTS, format=Export.Format.CSV, since=since, until=until)
    export.time_zone = asked.get("time_zone", export.time_zone)
    for field, name in (("tenants", "tenant"), ("actions", "action_id"), ("policies", "policy")):
        setattr(export, field, [asked[name]] if name in asked else [])
    export.scope = None if scope is None else sorted(scope)
    try:
        selection.check(export)
    except DjangoValidationError as error:
        raise ValidationError(by_field(export, error)) from None
    return selection.of(export)
