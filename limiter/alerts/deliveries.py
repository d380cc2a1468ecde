"""The messages to post, written in the transaction that starts or ends an alert or finds another event: neither exists
without the other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from limiter.alerts import mutes
from limiter.alerts.event_types import ENDED, STARTED, TEST, TYPES
from limiter.alerts.models import Alert, AlertDelivery, AlertHook
from quota_platform.base.events import EventType, Occurrence
from quota_platform.base.public_url import public_url

VERSION = 1
"""Of the body; it changes when a field goes or changes its meaning, not when one is added."""
_START = next(each for each in TYPES if each.name == STARTED)


def put(alerts: Sequence[Alert], event: str) -> int:
    """A message to every hook that wants to know, but none of a muted start; how many. The alerts are stored."""
    if event == STARTED:
        alerts = [alert for alert in alerts if not alert.muted]
    if not alerts:
        return 0
    hooks = _wanted({alert.tenant_id for alert in alerts}, event)
    began = _began(alerts, hooks) if event == ENDED else set()
    return _put(
        event,
        (
            (hook, alert)
            for alert in alerts
            for hook in hooks
            if _concerns(hook, alert)
            and ((not alert.muted and hook.hours.include(_at(alert))) or (hook.pk, alert.pk) in began)
        ),
    )


def put_late(alerts: Sequence[Alert], *, now: datetime) -> int:
    """The starts of alerts that still last, to contact points whose hours, or a mute, held them back; how many."""
    if not alerts:
        return 0
    start, tenant_ids = STARTED, {alert.tenant_id for alert in alerts}
    was_muted = any(alert.muted for alert in alerts)
    hooks = [hook for hook in _wanted(tenant_ids, start) if was_muted or not hook.hours.always]
    hooks = [hook for hook in hooks if hook.hours.include(now)]
    if not hooks:
        return 0
    muted = mutes.active(tenant_ids, now=now)
    alerts = [alert for alert in alerts if (alert.tenant_id, alert.action_id, alert.limit_name) not in muted]
    began = _began(alerts, hooks)
    return _put(
        start,
        (
            (hook, alert)
            for alert in alerts
            for hook in hooks
            if _concerns(hook, alert)
            and (hook.pk, alert.pk) not in began
            and (alert.muted or not hook.hours.include(alert.at))
        ),
    )


def _put(event: str, wanted: Iterable[tuple[AlertHook, Alert]]) -> int:
    made = [
        AlertDelivery(
            hook=hook,
            alert=alert,
            tenant_id=alert.tenant_id,
            event=event,
            body=body(event, described(alert), at=_at(alert)),
        )
        for hook, alert in wanted
    ]
    AlertDelivery.objects.bulk_create(made, ignore_conflicts=True)
    return len(made)


def _concerns(hook: AlertHook, alert: Alert) -> bool:
    mine = hook.tenant is None or hook.tenant.tenant_id == alert.tenant_id
    return mine and alert.threshold >= hook.from_threshold and _START.is_at_least(hook.from_severity, described(alert))


def _began(alerts: Sequence[Alert], hooks: Sequence[AlertHook]) -> set[tuple[int, int]]:
    """Which contact points got the start of which alert, by their IDs."""
    rows = AlertDelivery.objects.filter(event=STARTED, hook__in=hooks, alert__in=alerts)
    return set(rows.values_list("hook_id", "alert_id"))


def put_events(type_: EventType, found: Iterable[Occurrence], hooks: Sequence[AlertHook], *, now: datetime) -> int:
    """A message of each to every contact point that it concerns and that has none; how many.

    Outside its hours a contact point gets it when they begin. An end goes where its start went, however severe.
    """
    made = []
    for each in found:
        concerned, data = _concerned(each, hooks), each.data()
        made += [
            AlertDelivery(
                hook=hook,
                tenant_id=(about := _about(data, hook))["tenant_id"] or "",
                event=type_.name,
                key=each.key,
                body=body(type_.name, {**about, "url": _page(type_, about)}, at=each.at),
                next_at=hook.hours.next(now),
            )
            for hook in hooks
            if each.at >= hook.created_at and (hook.tenant_id is None or hook.tenant_id in concerned)
            if type_.ends or type_.is_at_least(hook.from_severity, data)
        ]
    AlertDelivery.objects.bulk_create(made, ignore_conflicts=True)
    return len(made)


def _concerned(event: Occurrence, hooks: Sequence[AlertHook]) -> set[int]:
    """Which of the contact points' tenants it concerns, by their IDs."""
    bound = {hook.tenant_id for hook in hooks if hook.tenant_id}
    return set(event.tenants.filter(pk__in=bound).values_list("pk", flat=True)) if bound else set()


def _about(data: Mapping[str, Any], hook: AlertHook) -> dict[str, Any]:
    """The values for a contact point: its own tenant stands in them where the event is not one tenant's."""
    own = hook.tenant.tenant_id if hook.tenant else None
    return {**data, "tenant_id": data.get("tenant_id") or own}


def _page(type_: EventType, data: Mapping[str, Any]) -> str | None:
    return public_url(type_.page.format_map(data)) or None


def with_retried(hooks: QuerySet[AlertHook]) -> QuerySet[Any]:
    """Contact points with ``retried``: so many of their messages failed and will be posted again.

    Hours pass before one is given up. One that failed once, a few seconds ago, is not counted yet.
    """
    failed = AlertDelivery.objects.filter(
        hook=OuterRef("pk"), state=AlertDelivery.State.WAITING, attempts__gt=1
    ).order_by()
    count = Subquery(failed.values("hook").annotate(messages=Count("pk")).values("messages"))
    return hooks.annotate(retried=Coalesce(count, 0))


def put_test(hook: AlertHook, *, at: datetime) -> AlertDelivery:
    """A message that says it is a test, with numbers nobody counted."""
    alert = Alert(
        at=at,
        tenant_id=hook.tenant.tenant_id if hook.tenant else "example",
        action_id="exampleAction",
        limit_name="minute",
        policy_name="Example",
        policy_version=1,
        threshold=80,
        used=80,
        effective_limit=100,
        full_in_s=42.0,
    )
    return AlertDelivery.objects.create(
        hook=hook, tenant_id=alert.tenant_id, event=TEST, body=body(TEST, described(alert), at=at), next_at=at
    )


def body(event: str, data: dict[str, Any], *, at: datetime) -> str:
    """The message as it is signed and sent."""
    return json.dumps({"type": event, "version": VERSION, "timestamp": at.isoformat(), "data": data})


def described(alert: Alert) -> dict[str, Any]:
    """What a receiver learns of an alert."""
    return {
        "alert_id": alert.pk,
        "tenant_id": alert.tenant_id,
        "action_id": alert.action_id or None,
        "limit": alert.limit_name,
        "policy": alert.policy_name,
        "policy_version": alert.policy_version,
        "threshold_percent": alert.threshold,
        "used": alert.used,
        "effective_limit": alert.effective_limit,
        "full_in_s": alert.full_in_s,
        "shadow": alert.shadow,
        "started_at": alert.at.isoformat(),
        "ended_at": alert.ended_at.isoformat() if alert.ended_at else None,
        "ending": alert.ending or None,
        "url": public_url(f"/dashboard/tenants/{alert.tenant_id}/") or None,
    }


def _at(alert: Alert) -> datetime:
    return alert.ended_at or alert.at


def _wanted(tenant_ids: set[str], event: str) -> list[AlertHook]:
    """Contact points that may want to know, each with its tenant."""
    rows = AlertHook.objects.filter(Q(tenant=None) | Q(tenant__tenant_id__in=tenant_ids), enabled=True)
    if event == ENDED:
        rows = rows.filter(tell_ends=True)
    return [hook for hook in rows.select_related("tenant") if STARTED in hook.events]
