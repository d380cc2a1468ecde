"""The admin's first page: how the platform is right now in one line, and what needs attention."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, Sum
from django.http import HttpRequest
from django.utils import timezone

from dashboard import catalogue
from dashboard.figures import FIGURES
from limiter.demand.state import LATELY_S, NOW_S, RefusalState, RefusedCalls
from limiter.record.models import ThrottleEvent
from quota_platform.base import features, row_access
from quota_platform.base.attention import Notice
from quota_platform.first_steps import first_steps
from tenants.scope import tenants_of

MINUTES = LATELY_S // 60
_STATES = {RefusalState.REFUSING: "stop", RefusalState.LATELY: "lately", RefusalState.NONE: "ok"}


def add_glance(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's callback: what the stored refusals of the last minutes say; the script puts live numbers beside it."""
    context["glance"] = _glance(request)
    context["notices"] = _notices(request)
    context["steps"] = first_steps(request.user)
    return context


def _notices(request: HttpRequest) -> list[Notice]:
    """What the features say needs attention, the urgent first."""
    sources = [feature.attention for feature in features.installed() if feature.attention]
    found = [notice for source in sources for notice in source(request.user)]
    return sorted(found, key=lambda notice: not notice.urgent)


def _glance(request: HttpRequest) -> dict[str, Any]:
    since = timezone.now() - timedelta(minutes=MINUTES)
    lately = row_access.seen(ThrottleEvent.objects.filter(at__gte=since), request.user)
    now = Q(at__gte=timezone.now() - timedelta(seconds=NOW_S))
    per_tenant = lately.filter(shadow=False).order_by().values("tenant_id")
    most = per_tenant.annotate(calls=Sum("count")).order_by("-calls", "tenant_id").values_list("tenant_id", flat=True)
    sums = lately.filter(shadow=False).aggregate(
        calls=Sum("count", default=0),
        now=Sum("count", filter=now, default=0),
        tenants=Count("tenant_id", distinct=True),
    )
    seen = RefusedCalls(sums["now"], sums["calls"])
    return {
        "refused": seen.quarter,
        "state": _STATES[seen.state],
        "tenants": list(most[:3]),
        "more": max(0, sums["tenants"] - 3),
        "minutes": MINUTES,
        "seen": tenants_of(request.user).count(),
        "figures": [figure for figure in FIGURES if figure.at_a_glance],
        "words": catalogue.words(),
    }
