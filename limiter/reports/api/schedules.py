"""``/api/report-schedules``: saved reports, run by the clock or by hand."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from limiter.reports import access, rhythm, schedules
from limiter.reports.api.exports import ExportSerializer, NameList
from limiter.reports.models import ReportSchedule
from quota_platform.base.api.filters import choice, flag
from quota_platform.base.api.resource import Resource, whole
from quota_platform.base.api.serializer import RowSerializer, by_field


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "The summary of each week, on Mondays",
            value={
                "name": "Week",
                "kind": "summary",
                "format": "pdf",
                "days": 7,
                "rhythm": "weekly",
                "weekday": 0,
                "hour": 6,
            },
            request_only=True,
        )
    ]
)
class ScheduleSerializer(RowSerializer[ReportSchedule]):
    """A saved report. Its runs have the rights of its owner, who made it."""

    tenants = NameList(required=False, max_length=500)
    actions = NameList(required=False, max_length=500)
    policies = NameList(required=False, max_length=500)
    recipients = serializers.ListField(
        child=serializers.CharField(max_length=254), required=False, help_text="Mail addresses."
    )
    next_run = serializers.SerializerMethodField(help_text="When it is due next; null when it is not.")

    class Meta:
        model = ReportSchedule
        fields = [
            *("id", "name", "kind", "format", "days", "tenants", "actions", "policies", "rhythm", "weekday", "hour"),
            "time_zone",
            *("recipients", "enabled", "owner_name", "next_run", "refused", "created_at", "reason"),
        ]
        read_only_fields = ["owner_name", "refused", "created_at"]
        validators: list[object] = []

    def get_next_run(self, row: ReportSchedule) -> str | None:
        moment = rhythm.following(row, timezone.now())
        return moment.isoformat() if moment else None

    def fill(self, row: ReportSchedule, values: dict[str, Any]) -> None:
        super().fill(row, values)
        if self.instance is None:
            person = self.context["request"].user
            row.owner, row.owner_name = person, person.get_username()

    def check(self) -> None:
        super().check()
        try:
            schedules.check(self.row)
        except DjangoValidationError as error:
            raise ValidationError(by_field(self.row, error)) from None
        if not access.may_export(self.context["request"].user, self.row.kind):
            raise PermissionDenied(f"You may not export {self.row.get_kind_display()}.")


@extend_schema(tags=["exports"])
class ScheduleResource(Resource[ReportSchedule]):
    """Saved reports: a person sees their own, a superuser all."""

    queryset = ReportSchedule.objects.all()
    serializer_class = ScheduleSerializer
    filters = {
        "kind": choice("kind", "The rows it exports.", ["events", "usage", "changes", "summary"]),
        "enabled": flag("enabled", "Those that run, or those that do not."),
    }
    search_fields = ["name", "owner_name"]
    ordering_fields = ["name", "created_at"]

    def get_queryset(self) -> QuerySet[ReportSchedule]:
        rows = super().get_queryset()
        return rows.filter(pk__in=access.schedules_of(self.request.user).values("pk")) if self.request else rows

    @extend_schema(request=None, responses={201: ExportSerializer})
    @action(detail=True, methods=["post"])
    def run(self, request: Request, id: str) -> Response:
        """Order it now: the whole days before today."""
        with whole():
            schedule = self.get_object()
            try:
                export = schedules.run(schedule, timezone.now())
            except DjangoPermissionDenied as error:
                raise PermissionDenied(str(error)) from None
            except DjangoValidationError as error:
                raise ValidationError(by_field(schedule, error)) from None
        return Response(ExportSerializer(export).data, status=201)
