"""Routes of the management API that belong to the limiter."""

from __future__ import annotations

from django.urls import path

from limiter.alerts.api.alerts import AlertResource
from limiter.alerts.api.hooks import DeliveryResource, HookResource
from limiter.policies.api.assignments import AssignmentResource
from limiter.policies.api.overrides import OverrideResource
from limiter.policies.api.policies import PolicyResource
from limiter.record.api.decisions import DecisionResource
from limiter.record.api.events import EventResource
from limiter.reports.api.exports import EventsCsv, ExportResource
from limiter.reports.api.schedules import ScheduleResource
from quota_platform.base.api.router import Router

router = Router()
router.register("policies", PolicyResource, basename="api-policy")
router.register("assignments", AssignmentResource, basename="api-assignment")
router.register("overrides", OverrideResource, basename="api-override")
router.register("decisions", DecisionResource, basename="api-decision")
router.register("alerts", AlertResource, basename="api-alert")
router.register("alert-hooks", HookResource, basename="api-alert-hook")
router.register("alert-deliveries", DeliveryResource, basename="api-alert-delivery")
router.register("events", EventResource, basename="api-event")
router.register("report-schedules", ScheduleResource, basename="api-report-schedule")
router.register("exports", ExportResource, basename="api-export")

urlpatterns = [path("events.csv", EventsCsv.as_view(), name="api-events-csv"), *router.urls]
