"""What a team does about alerts and incidents from its pages: each is done at once, in a person's name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from dashboard import views
from dashboard.access import may_handle
from dashboard.asking import body_of, wrong
from limiter.alerts.models import Alert
from limiter.incidents import team
from limiter.incidents.models import Incident
from limiter.incidents.team import Wish
from quota_platform.base import row_access


@require_POST
def act(request: HttpRequest) -> JsonResponse:
    """Do it about one alert; its page shows it with the next frame."""
    if not may_handle(request.user):
        raise PermissionDenied
    try:
        body = body_of(request)
        alert = _alert(body.get("alert"), request.user)
        team.act(alert, _wish(body), person=request.user)
    except ValidationError as error:
        return wrong(" ".join(error.messages))
    return JsonResponse({"done": True})


@require_POST
def enter(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Do it about one incident, and show its page again."""
    if not may_handle(request.user):
        raise PermissionDenied
    incident = row_access.seen(Incident.objects.filter(pk=incident_id), request.user).first()
    if incident is None:
        raise Http404
    try:
        team.act(incident, _wish(request.POST), person=request.user)
    except ValidationError as error:
        return views.incident_again(request, incident_id, wrong=" ".join(error.messages))
    return redirect("dashboard:incident", incident_id)


def _alert(number: Any, person: Any) -> Alert:
    """One that the person may see; raises ValidationError."""
    rows = row_access.seen(Alert.objects.all(), person)
    found = rows.filter(pk=number).first() if isinstance(number, int) else None
    if found is None:
        raise ValidationError(_("There is no such alert; it may be over."))
    return found


def _wish(asked: Mapping[str, Any]) -> Wish:
    minutes = str(asked.get("minutes", ""))
    until = timezone.now() + timedelta(minutes=int(minutes)) if minutes.isdecimal() and len(minutes) < 6 else None
    return Wish(str(asked.get("kind", "")), str(asked.get("text", "")), until, str(asked.get("to", "")).strip())
