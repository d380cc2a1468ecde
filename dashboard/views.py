"""The dashboard's pages: shells that scripts fill with live numbers, and the refusals, which need none."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dashboard import catalogue, connection_list, pool_table, tenant_list, zones
from dashboard import incidents as stretches
from dashboard import refusals as refused
from dashboard.access import (
    may_act,
    may_explain,
    may_export,
    may_handle,
    may_open_connections,
    may_reset,
    may_revoke,
    may_set_up,
)
from dashboard.figures import FIGURES
from dashboard.listing import Listing
from dashboard.revocation import keys_in_use
from limiter.incidents import account
from limiter.record.limit_names import limit_in_words
from quota_platform.base.languages import number
from tenants.scope import names_of, tenants_of

_PAGES = (
    ("overview", _("Overview")),
    ("tenants", _("Tenants")),
    ("connections", _("Connections")),
    ("incidents", _("Incidents")),
    ("refusals", _("Refusals")),
)

MAX_KEYS = 200
"""Keys that a tenant's page offers to choose from; the admin lists all."""

MAX_CHOICES = 100
"""Tenants to choose from in a filter; of more the reader enters the ID."""

Shown = Callable[..., HttpResponse]


def _page(view: Shown) -> Shown:
    """What every page is: for people who signed in, read only, never cached, with times in the reader's zone."""
    return require_safe(never_cache(login_required(_in_zone(view))))


def _in_zone(view: Shown) -> Shown:
    @wraps(view)
    def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with timezone.override(ZoneInfo(zones.zone_of(request))):
            return view(request, *args, **kwargs)

    return shown


@_page
def overview(request: HttpRequest) -> HttpResponse:
    """Every limit of the person's tenants, live; ``?wallboard=1`` for a screen on the wall."""
    return _shown(
        request,
        "overview",
        live=True,
        words=catalogue.words(),
        team_url=_team_url(request),
        feed_url="/ws/dashboard/",
        poll_url="/dashboard/api/overview.json",
        figures=FIGURES,
        wallboard=request.GET.get("wallboard") == "1",
        tenant_page=reverse("dashboard:tenant", args=["__tenant__"]),
        no_tenant=not tenants_of(request.user).exists(),
    )


@_page
def tenant(request: HttpRequest, tenant_id: str) -> HttpResponse:
    """One tenant's charts, limits and actions, live."""
    found = tenants_of(request.user).filter(tenant_id=tenant_id).select_related("connection").first()
    if found is None:
        # Also for a tenant that does not exist: a stranger learns nothing from the difference.
        return _shown(request, "no_permission", status=403)
    return _shown(
        request,
        "tenant",
        live=True,
        words=catalogue.words(),
        team_url=_team_url(request),
        tenant=found,
        may_act=may_act(request.user),
        may_revoke=may_revoke(request.user),
        may_reset=may_reset(request.user),
        keys=keys_in_use(found)[:MAX_KEYS] if may_revoke(request.user) or may_reset(request.user) else [],
        pool_page=reverse("dashboard:pool", args=[found.connection_id, "__limit__"]),
        feed_url=f"/ws/dashboard/?tenant={found.tenant_id}",
        poll_url=f"/dashboard/api/tenants/{found.tenant_id}.json",
        tenant_page=reverse("dashboard:tenant", args=["__tenant__"]),
    )


@_page
def pool(request: HttpRequest, connection: int, limit: str) -> HttpResponse:
    """A limit that the tenants of a connection share, live: the person's tenants by name, the others in sums."""
    found = tenants_of(request.user).filter(connection=connection).select_related("connection").first()
    if found is None:
        return _shown(request, "no_permission", status=403)  # also for a connection that does not exist
    asked = pool_table.table(request.GET.dict(), connection, limit)
    return _shown(
        request,
        "pool",
        live=True,
        words=catalogue.words(),
        connection=found.connection,
        limit=limit_in_words(limit),
        asked=asked,
        feed_url=f"/ws/dashboard/?{asked.query(connection=connection, limit=limit)}",
        poll_url=f"{reverse('dashboard:pool-json', args=[connection, limit])}?{asked.query()}",
        tenant_page=reverse("dashboard:tenant", args=["__tenant__"]),
    )


@_page
def tenants(request: HttpRequest) -> HttpResponse:
    """The tenants a person may see, with their connections, a page at a time."""
    return _shown(request, "tenants", page=tenant_list.page(request.GET.dict(), tenants_of(request.user)))


@_page
def connections(request: HttpRequest) -> HttpResponse:
    """The connections of the tenants a person may see, with the limits that are shared."""
    found = connection_list.page(request.GET.dict(), tenants_of(request.user))
    return _shown(request, "connections", page=found, opens=may_open_connections(request.user))


@_page
def connection(request: HttpRequest, connection: int) -> HttpResponse:
    """The start of a longer address leads to the connection's place in the list."""
    return redirect(f"{reverse('dashboard:connections')}#connection-{connection}")


@_page
def exports(request: HttpRequest) -> HttpResponse:
    """Exports are at home in the admin."""
    if not may_export(request.user):
        return _shown(request, "no_permission", status=403)
    return redirect("admin:limiter_export_changelist")


@_page
def refusals(request: HttpRequest) -> HttpResponse:
    """The stored refusals of the person's tenants."""
    page = refused.page(request.GET.dict(), tenant_ids=names_of(request.user))
    choices = list(tenants_of(request.user)[: MAX_CHOICES + 1])
    tenants, most = choices if len(choices) <= MAX_CHOICES else None, number(refused.MAX_BY_CALLS)
    return _listed(request, "refusals", page, tenants=tenants, explains=may_explain(request.user), most=most)


@_page
def incidents(request: HttpRequest) -> HttpResponse:
    """The incidents of the person's tenants."""
    return _listed(request, "incidents", stretches.page(request.GET.dict(), person=request.user))


@_page
def incident(request: HttpRequest, incident_id: int) -> HttpResponse:
    """One incident with its alerts, refusals and what the team did."""
    return _incident(request, incident_id)


@require_safe
@never_cache
@login_required
def incident_pdf(request: HttpRequest, incident_id: int) -> HttpResponse:
    """The same as a document, which has its times in UTC."""
    line = stretches.one(incident_id, person=request.user)
    if line is None:
        return _shown(request, "no_permission", status=403)
    from limiter.incidents import pdf  # its library takes 20 MB of a worker that draws none

    response = HttpResponse(pdf.write(line.incident), content_type="application/pdf")
    response["Content-Disposition"] = str(content_disposition_header(True, f"incident-{incident_id}.pdf"))
    return response


@never_cache
@_in_zone
def incident_again(request: HttpRequest, incident_id: int, *, wrong: str) -> HttpResponse:
    """The same after an act that was not done, with the reason."""
    return _incident(request, incident_id, wrong=wrong, status=400)


def _incident(request: HttpRequest, incident_id: int, *, wrong: str = "", status: int = 200) -> HttpResponse:
    line = stretches.one(incident_id, person=request.user)
    if line is None:
        return _shown(request, "no_permission", status=403)  # also for one that does not exist
    found = line.incident
    return _shown(
        request,
        "incident",
        status=status,
        wrong=wrong,
        line=line,
        alerts=stretches.alerts_of(found),
        account=account.write(found),
        muted_until=stretches.muted_until(found),
        people=stretches.people_of(found) if may_handle(request.user) else [],
        may_handle=may_handle(request.user),
        page=refused.page(stretches.refusals_of(found), tenant_ids=[found.tenant_id]),
        explains=may_explain(request.user),
    )


def _listed(request: HttpRequest, name: str, page: Listing[Any], **context: Any) -> HttpResponse:
    """A list. The choice of another zone leads to the same rows, at an address that names none."""
    return _shown(request, name, page=page, zone_next=f"{request.path}?{page.here}".rstrip("?"), **context)


def _team_url(request: HttpRequest) -> str:
    """Where the person's acts on alerts go; empty without the right."""
    return reverse("dashboard:team-act") if may_handle(request.user) else ""


def _shown(request: HttpRequest, name: str, *, status: int = 200, **context: Any) -> HttpResponse:
    pages = [{"title": title, "url": reverse(f"dashboard:{page}"), "current": page == name} for page, title in _PAGES]
    if may_export(request.user):
        pages.append({"title": _("Exports"), "url": reverse("admin:limiter_export_changelist"), "current": False})
    shown = {"pages": pages, "zone": zones.zone_of(request), "zone_next": request.get_full_path(), **context}
    shown["may_set_up"] = partial(may_set_up, request.user)  # asked for on empty pages alone
    return render(request, f"dashboard/{name}.html", shown, status=status)
