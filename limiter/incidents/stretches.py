"""The incident that a refusal belongs to and adds to: rules on rows in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from limiter.core.types import CountedPer
from limiter.incidents.models import Incident
from limiter.incidents.models.incident import QUIET
from limiter.record.models import ThrottleEvent

MAX_NAMED = 20
OTHERS = "*"
"""Stands for the keys or actions beyond the first ``MAX_NAMED`` of an incident."""


class Row(NamedTuple):
    """The limit of an incident, named as alerts and the record of demand name it."""

    tenant_id: str
    action_id: str
    limit_name: str


def row_of(event: ThrottleEvent) -> Row:
    """``action_id`` is "" unless the limit counts each action by itself."""
    per = next((limit["counted_per"] for limit in event.limits if limit["name"] == event.limit_name), "")
    return Row(event.tenant_id, event.action_id if per == CountedPer.ACTION else "", event.limit_name)


def take(events: Sequence[ThrottleEvent], row: Row, known: Sequence[Incident], *, now: datetime) -> list[Incident]:
    """Add a row's refusals to its incidents; returns those that changed, with the new ones.

    ``known``: those of the row that lie within ``QUIET`` of any of the events, or last.
    """
    incidents = sorted(known, key=lambda incident: incident.at)
    touched: list[Incident] = []
    for event in sorted(events, key=lambda event: event.at):
        incident = next((each for each in reversed(incidents) if _belongs(event, each)), None)
        if incident is None:
            incident = _begin(event, row)
            incidents.append(incident)
            incidents.sort(key=lambda each: each.at)
        _add(event, incident)
        if not any(each is incident for each in touched):
            touched.append(incident)
    for incident in incidents:
        over = incident.last_at + QUIET
        ended_at = over if over <= now or incident is not incidents[-1] else None
        if ended_at != incident.ended_at and not any(each is incident for each in touched):
            touched.append(incident)
        incident.ended_at = ended_at
    return touched


def _belongs(event: ThrottleEvent, incident: Incident) -> bool:
    return incident.at - QUIET < event.at < incident.last_at + QUIET


def _begin(event: ThrottleEvent, row: Row) -> Incident:
    return Incident(
        **row._asdict(),
        at=event.at,
        last_at=event.at,
        policy_name=event.policy_name,
        policy_version=event.policy_version,
        quota=event.quota,
        effective_limit=event.effective_limit,
    )


def _add(event: ThrottleEvent, incident: Incident) -> None:
    incident.refusals += event.count
    incident.last_at = max(incident.last_at, event.at)
    if event.at < incident.at:
        incident.at, incident.quota = event.at, event.quota
        incident.policy_name, incident.policy_version = event.policy_name, event.policy_version
    is_cut = event.multiplier < 1  # or less of the limit was in force for another reason
    if is_cut and (event.effective_limit < incident.effective_limit or incident.p95_ms is None):
        incident.p95_ms, incident.p95_samples = event.p95_ms, event.p95_samples
        incident.threshold_ms = event.threshold_ms
    incident.effective_limit = min(incident.effective_limit, event.effective_limit)
    _count(incident.by_key, event.key_prefix, event.count)
    _count(incident.by_action, event.action_id, event.count)


def _count(by_name: dict[str, int], name: str, refusals: int) -> None:
    if name not in by_name and len(by_name) >= MAX_NAMED:
        name = OTHERS
    by_name[name] = by_name.get(name, 0) + refusals
