"""The account of an incident that writes itself: start, cause with evidence, changes before, who acted, end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from limiter.core.in_flight import IN_FLIGHT
from limiter.demand import series
from limiter.incidents import changes
from limiter.incidents.changes import ChangeSeen
from limiter.incidents.models import Incident, TeamEntry
from limiter.incidents.stretches import OTHERS
from limiter.record.limit_names import limit_in_words
from limiter.record.models import MultiplierChange, ThrottleEvent
from limiter.record.models.event import ALONE, UPSTREAM
from quota_platform.base.languages import number
from tenants.models import Tenant

BEFORE = timedelta(hours=1)
"""How long before the first refusal a change may have caused it."""
_MAX_LOOKED_AT = timedelta(hours=24)
_MAX_ENTRIES = 200
_MAINLY = 0.5
_FORMAT = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True, slots=True)
class IncidentAccount:
    """``story``: sentences about start, cause and end, with evidence. ``before``: changes of the hour before the first
    refusal; ``during``: from then until it was over. ``entries``: what the team did.
    """

    incident: Incident
    tenant_name: str
    story: list[str]
    before: list[ChangeSeen]
    during: list[ChangeSeen]
    entries: list[TeamEntry]


def write(incident: Incident, *, now: datetime | None = None) -> IncidentAccount:
    """Everything that is known now. For a thread; who may see the tenant is the caller's to check."""
    until = incident.ended_at or now or timezone.now()
    name = Tenant.objects.filter(tenant_id=incident.tenant_id).values_list("name", flat=True).first()
    name = name or incident.tenant_id
    before = changes.of(incident, incident.at - BEFORE, incident.at)
    story = [_start(incident, name), *_cause(incident), *_asked(incident), *_callers(incident), _changed(before)]
    return IncidentAccount(
        incident=incident,
        tenant_name=name,
        story=[*story, _end(incident)],
        before=before,
        during=changes.of(incident, incident.at, until),
        entries=list(incident.entries.order_by("at", "pk")[:_MAX_ENTRIES]),
    )


def limit_of(incident: Incident) -> str:
    """The limit in words, with the action that it counts."""
    name = limit_in_words(incident.limit_name)
    if name != incident.limit_name:
        return name
    of = incident.action_id or _("all actions together")
    return f"{name} · {of}"


def _start(incident: Incident, name: str) -> str:
    said = ngettext(
        "From {since} to {until} {count} call of {tenant} was refused: {limit}.",
        "From {since} to {until} {count} calls of {tenant} were refused: {limit}.",
        incident.refusals,
    )
    since, until = f"{timezone.localtime(incident.at):{_FORMAT}}", _moment(incident.last_at)
    return said.format(since=since, until=until, count=number(incident.refusals), tenant=name, limit=limit_of(incident))


def _cause(incident: Incident) -> Iterator[str]:
    if not incident.limit_name:
        yield _("The limiter's store was unavailable, and the policy then lets no call pass.")
    elif incident.limit_name == UPSTREAM:
        yield _(
            "The upstream had turned calls away (429) or was at its pace; calls were held back without sending them."
        )
    elif incident.limit_name == IN_FLIGHT:
        yield ngettext(
            "The connection had learned that its unit bears {allowed} call in flight.",
            "The connection had learned that its unit bears {allowed} calls in flight.",
            incident.effective_limit,
        ).format(allowed=number(incident.effective_limit))
    else:
        yield _("The limit of policy {policy}, version {version}, allows {quota}.").format(
            policy=incident.policy_name, version=incident.policy_version, quota=number(incident.quota)
        )
        yield from _cut(incident)


def _cut(incident: Incident) -> Iterator[str]:
    if incident.effective_limit >= incident.quota:
        return
    lowest, quota = number(incident.effective_limit), number(incident.quota)
    change = _multiplier(incident)
    if change is not None and change.pushed_back > 0 and change.p95_ms <= change.threshold_ms:
        said = _("It was cut to {lowest} of {quota}, since the upstream turned {share} % of calls away (429).")
        yield said.format(lowest=lowest, quota=quota, share=number(round(change.pushed_back * 100, 1)))
    elif incident.p95_ms is not None and incident.p95_ms > (incident.threshold_ms or 0):
        said = _(
            "It was cut to {lowest} of {quota}: the upstream's p95 was {p95} ms over {samples} calls, its threshold is"
            " {threshold} ms."
        )
        yield said.format(
            lowest=lowest,
            quota=quota,
            p95=number(round(incident.p95_ms)),
            samples=number(incident.p95_samples),
            threshold=number(round(incident.threshold_ms or 0)),
        )
    elif _was_decided_alone(incident):
        said = _(
            "For a time the limiter's store was unavailable: each worker then decided by its own share of the limit,"
            " {lowest} of {quota} at the lowest."
        )
        yield said.format(lowest=lowest, quota=quota)
    else:
        yield _("It was cut to {lowest} of {quota}.").format(lowest=lowest, quota=quota)


def _was_decided_alone(incident: Incident) -> bool:
    """Whether any of its refusals was decided by a worker without the store."""
    until = min(incident.last_at, incident.at + _MAX_LOOKED_AT)
    refused = ThrottleEvent.objects.filter(tenant_id=incident.tenant_id, at__gte=incident.at, at__lte=until)
    return refused.filter(limit_name=incident.limit_name, stream_id__contains=ALONE).order_by().exists()


def _multiplier(incident: Incident) -> MultiplierChange | None:
    """The change that had cut the limit when it refused last."""
    rows = MultiplierChange.objects.filter(
        tenant_id=incident.tenant_id, action_id__in=["", incident.action_id], at__lte=incident.last_at, after__lt=1
    )
    return rows.order_by("-at", "-id").first()


def _asked(incident: Incident) -> Iterator[str]:
    """What came in the busiest minute, from the record of demand."""
    start = int(incident.at.timestamp()) // 60 * 60
    last = min(incident.last_at, incident.at + _MAX_LOOKED_AT)
    end = int(last.timestamp()) // 60 * 60 + 60
    demand = series.between(incident.tenant_id, start, end, action_id=incident.action_id or None)
    by_minute = demand.every(60).together()
    if not by_minute:
        return
    at, calls = max(by_minute.items(), key=lambda each: each[1].came)
    said = _("In the busiest minute, {minute}, {came} calls came: {allowed} were allowed and {refused} refused.")
    yield said.format(
        minute=f"{timezone.localtime(datetime.fromtimestamp(at, UTC)):%H:%M %Z}",
        came=number(calls.came),
        allowed=number(calls.allowed),
        refused=number(calls.refused + calls.held_back),
    )


def _callers(incident: Incident) -> Iterator[str]:
    """The key that was refused most, if it was refused more than all others."""
    known = {key: calls for key, calls in incident.by_key.items() if key not in ("", OTHERS)}
    if not known:
        return
    key, calls = max(known.items(), key=lambda each: each[1])
    share = calls / max(1, incident.refusals)
    if share > _MAINLY:
        yield _("API key {key} made {share} % of the refused calls.").format(key=key, share=number(round(share * 100)))


def _changed(before: list[ChangeSeen]) -> str:
    return ngettext(
        "In the hour before the first refusal {count} change concerned this tenant.",
        "In the hour before the first refusal {count} changes concerned this tenant.",
        len(before),
    ).format(count=number(len(before)))


def _end(incident: Incident) -> str:
    if incident.ended_at is None:
        return _("It lasts until nothing has been refused for 15 minutes.")
    return _("It was over at {at}, when nothing had been refused for 15 minutes.").format(at=_moment(incident.ended_at))


def _moment(at: datetime) -> str:
    """In the zone that is in force: a page's reader has chosen it, exports and the API have UTC."""
    return f"{timezone.localtime(at):{_FORMAT} %Z}"
