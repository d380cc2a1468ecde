"""Routes of the management API that belong to the limiter."""

from __future__ import annotations

from limiter.api.assignments import AssignmentResource
from limiter.api.decisions import DecisionResource
from limiter.api.events import EventResource
from limiter.api.overrides import OverrideResource
from limiter.api.policies import PolicyResource
from tenants.api.router import Router

router = Router()
router.register("policies", PolicyResource, basename="api-policy")
router.register("assignments", AssignmentResource, basename="api-assignment")
router.register("overrides", OverrideResource, basename="api-override")
router.register("decisions", DecisionResource, basename="api-decision")
router.register("events", EventResource, basename="api-event")

urlpatterns = router.urls
