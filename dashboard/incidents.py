"""The incidents a person may read, as their page lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from dashboard import listing, times
from dashboard.listing import Asked, Listing
from dashboard.sorting import SortOrder
from limiter.alerts import mutes
from limiter.alerts.models import Alert
from limiter.demand.state import NOW_S
from limiter.incidents import account
from limiter.incidents.models import Incident, TeamEntry
from limiter.incidents.stretches import OTHERS
from quota_platform.base import row_access
from tenants.models import Membership, Tenant

_FIELDS = {"tenant": "tenant_id", "action": "action_id", "limit": "limit_name"}
_ORDERS = {
    "time": SortOrder(_("Time"), ("at", "id")),
    "tenant": SortOrder(_("Tenant"), ("tenant_id", "-at", "-id")),
    "limit": SortOrder(_("Limit"), ("limit_name", "action_id", "-at", "-id")),
    "calls": SortOrder(_("Calls"), ("refusals", "at", "id")),
}
_NAMED = 5
_MAX_ALERTS = 50
_MAX_PEOPLE = 100
_MAX_NOTES = 500


@dataclass(frozen=True, slots=True)
class IncidentLine:
    """An incident in a list. ``state``: stop while it refuses, lately until it is over, then ok. ``keys``: the most
    refused first, each with its number; "" stands for further ones.
    """

    incident: Incident
    tenant_name: str
    limit: str
    state: str
    keys: list[tuple[str, int]]
    actions: list[tuple[str, int]]
    rows: str
    """The query string of the page of its refusals."""
    muted_until: datetime | None
    notes: list[TeamEntry]
    """Those with a text, the newest first."""

    @property
    def handled(self) -> bool:
        """Whether somebody did anything about it."""
        return bool(self.incident.acknowledged_by or self.incident.owner or self.muted_until or self.notes)


def page(asked: Mapping[str, str], *, person: Any, now: datetime | None = None) -> Listing[IncidentLine]:
    """The page that ``asked`` describes, of the tenants that the person sees."""
    wanted = listing.read(asked, names=(*_FIELDS, "state"), orders=_ORDERS)
    found = listing.page(_chosen(row_access.seen(Incident.objects.all(), person), wanted), wanted, _ORDERS)
    return found.shown_as(lines(found.rows, now=now))


def _chosen(rows: QuerySet[Incident], asked: Asked) -> QuerySet[Incident]:
    filters, span = asked.filters, asked.span
    rows = rows.filter(**{field: filters[name] for name, field in _FIELDS.items() if name in filters})
    if filters.get("state") in ("open", "over"):
        rows = rows.filter(ended_at__isnull=filters["state"] == "open")
    if span.since:
        rows = rows.filter(last_at__gte=span.since)
    return rows.filter(at__lt=span.until) if span.until else rows


def one(incident_id: int, *, person: Any) -> IncidentLine | None:
    """An incident that the person may see; None also for one that is another tenant's."""
    found = row_access.seen(Incident.objects.filter(pk=incident_id), person).first()
    return lines([found])[0] if found else None


def lines(incidents: Sequence[Incident], *, now: datetime | None = None) -> list[IncidentLine]:
    now = now or timezone.now()
    tenants = Tenant.objects.filter(tenant_id__in={each.tenant_id for each in incidents})
    names = dict(tenants.values_list("tenant_id", "name"))
    muted = mutes.active({each.tenant_id for each in incidents}, now=now)
    notes = _notes(incidents)
    return [
        IncidentLine(
            each,
            names.get(each.tenant_id, each.tenant_id),
            account.limit_of(each),
            _state(each, now),
            _most(each.by_key),
            _most(each.by_action),
            urlencode(refusals_of(each)),
            muted.get((each.tenant_id, each.action_id, each.limit_name)),
            notes.get(each.pk, []),
        )
        for each in incidents
    ]


def _notes(incidents: Sequence[Incident]) -> dict[int, list[TeamEntry]]:
    rows = TeamEntry.objects.filter(incident__in=incidents).exclude(text="").order_by("-at", "-id")
    found: dict[int, list[TeamEntry]] = {}
    for entry in rows[:_MAX_NOTES]:
        found.setdefault(entry.incident_id or 0, []).append(entry)
    return found


def refusals_of(incident: Incident) -> dict[str, str]:
    """What to ask the page of refusals for to see an incident's."""
    until = incident.last_at.replace(microsecond=0) + timedelta(seconds=1)
    wanted = {
        "tenant": incident.tenant_id,
        "action": incident.action_id,
        "limit": incident.limit_name,
        "kind": "refused",
        **times.in_address(times.TimeFilter(incident.at, until)),
    }
    return {name: value for name, value in wanted.items() if value}


def alerts_of(incident: Incident) -> list[Alert]:
    """The alerts of its limit that lasted at some time of it, oldest first.

    One that its last refusal caused starts a moment later.
    """
    rows = Alert.objects.filter(
        Q(ended_at=None) | Q(ended_at__gte=incident.at),
        tenant_id=incident.tenant_id,
        action_id=incident.action_id,
        limit_name=incident.limit_name,
    )
    if incident.ended_at is not None:
        rows = rows.filter(at__lte=incident.ended_at)
    return list(rows.order_by("at", "threshold")[:_MAX_ALERTS])


def muted_until(incident: Incident) -> datetime | None:
    """When messages of its limit's alerts are sent again; None unless it is muted."""
    muted = mutes.active([incident.tenant_id], now=timezone.now())
    return muted.get((incident.tenant_id, incident.action_id, incident.limit_name))


def people_of(incident: Incident) -> list[str]:
    """User names of members of its tenant, to choose from."""
    members = Membership.objects.filter(tenant__tenant_id=incident.tenant_id, user__is_active=True)
    return list(members.order_by("user__username").values_list("user__username", flat=True)[:_MAX_PEOPLE])


def _state(incident: Incident, now: datetime) -> str:
    if incident.ended_at is not None:
        return "ok"
    return "stop" if incident.last_at > now - timedelta(seconds=NOW_S) else "lately"


def _most(by_name: Mapping[str, int]) -> list[tuple[str, int]]:
    """The names with most refusals; the rest together under ""."""
    most = sorted(((name, calls) for name, calls in by_name.items() if name != OTHERS), key=lambda each: -each[1])
    rest = sum(by_name.values()) - sum(calls for _, calls in most[:_NAMED])
    return [*most[:_NAMED], *([("", rest)] if rest else [])]
