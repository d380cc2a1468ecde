"""The time zone in which a person reads the live pages: of the address, or kept with the account, or UTC."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from quota_platform.base import preferences, time_zones
from tenants.preferences import keep as keep_with_the_account

UTC = "UTC"
COOKIE = "dashboard_zone"
"""Where an earlier release kept it: it counts until its person chooses again."""


def zone_of(request: HttpRequest) -> str:
    """The zone that the address names, then the kept one. A name that is none counts for nothing."""
    kept = preferences.held(request.session, preferences.TIME_ZONE)
    asked = (request.GET.get("tz", ""), kept, request.COOKIES.get(COOKIE, ""))
    return next((name for name in asked if _is_zone(name)), UTC)


@require_POST
@login_required
def keep(request: HttpRequest) -> HttpResponse:
    """Keep the zone that was chosen, and return to the page."""
    name, page = request.POST.get("zone", ""), request.POST.get("next", "")
    if not _is_zone(name):
        return HttpResponse(_("zone: give the name of a time zone, such as Europe/Berlin."), status=400)
    if not url_has_allowed_host_and_scheme(page, {request.get_host()}, require_https=request.is_secure()):
        page = reverse("dashboard:overview")
    keep_with_the_account(request, time_zone=name)
    return HttpResponseRedirect(page)


def _is_zone(name: str) -> bool:
    return name in time_zones.names()
