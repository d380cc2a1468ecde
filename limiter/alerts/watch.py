"""The one evaluator: looks every few seconds which limits have reached a threshold, and which have left it again.

A look sees an instant. The record of demand has what calls found between two looks: a burst starts an alert, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from limiter.alerts import deliveries, mutes, watched
from limiter.alerts.event_types import ENDED, STARTED
from limiter.alerts.models import Alert, AlertDelivery
from limiter.alerts.watched import Row, Watched
from limiter.core.thresholds import left, reached
from limiter.demand.state import RefusalState
from limiter.record import pruning, runs
from limiter.record.scripts import Client

EVERY_S = 2.0


def watch() -> int | None:
    """Start and end alerts, unless somebody else is at it: then None. How many started or ended."""
    return runs.alone("watch_limits", look, at_most_s=60)


def look(client: Client, *, now: datetime | None = None) -> int:
    """Look at the limits in use once; raises StoreError, and then no alert starts or ends."""
    now = now or timezone.now()
    open_alerts = list(Alert.objects.filter(ended_at=None))
    return apply(open_alerts, seen_now(client, open_alerts, now=now), now=now)


def seen_now(client: Client, open_alerts: Sequence[Alert], *, now: datetime) -> dict[Row, Watched]:
    """How the limits stand that are in use or have an alert, with a forecast where one is about to start."""
    known = watched.by_row(open_alerts)
    called = watched.actions(client, open_alerts, now=now)
    entries = watched.entries(called)
    bound = [stack for name, entry in entries.items() for stack in watched.stacks(entry, called[name])]
    return watched.read(
        bound,
        burst=lambda each: _may_rise(each, known),
        foresee=lambda each: any(_new(each, known)),
        look_back=lambda each: any(_fell(each, threshold) for threshold in known.get(each.row, {})),
    )


def apply(open_alerts: Sequence[Alert], seen: Mapping[Row, Watched], *, now: datetime) -> int:
    """Start and end what the numbers ask for, all or nothing; how many, with late messages. Another may be faster."""
    known = watched.by_row(open_alerts)
    with transaction.atomic():
        muted = mutes.active({row[0] for row in seen}, now=now) if seen else {}
        new = [
            _alert(each, threshold, now, muted=each.row in muted)
            for each in seen.values()
            for threshold in _new(each, known)
        ]
        started = [alert for alert in new if _start(alert)]
        ended = [alert for alert, ending in _over(known, seen) if _end(alert, ending, now)]
        deliveries.put(started, STARTED)
        deliveries.put(ended, ENDED)
        over = {alert.pk for alert in ended}
        late = deliveries.put_late([alert for alert in open_alerts if alert.pk not in over], now=now)
        return len(started) + len(ended) + late


def _new(seen: Watched, known: Mapping[Row, dict[int, Alert]]) -> Iterator[int]:
    """Thresholds that are reached, or were lately, and have no alert yet."""
    for threshold in _without_alert(seen, known):
        if reached(threshold, used=seen.state.used, effective=seen.state.effective) or _peaked(seen, threshold):
            yield threshold


def _may_rise(seen: Watched, known: Mapping[Row, dict[int, Alert]]) -> bool:
    """Whether a threshold has no alert that a burst may have reached since the last turn."""
    use = {"used": seen.state.used, "effective": seen.state.effective}
    return any(not reached(threshold, **use) for threshold in _without_alert(seen, known))


def _without_alert(seen: Watched, known: Mapping[Row, dict[int, Alert]]) -> Iterator[int]:
    already = known.get(seen.row, {})
    return (threshold for threshold in seen.state.limit.alert_at if threshold not in already)


def _peaked(seen: Watched, threshold: int) -> bool:
    return bool(seen.peak.used) and reached(threshold, used=seen.peak.used, effective=seen.peak.effective)


def _over(known: Mapping[Row, dict[int, Alert]], seen: Mapping[Row, Watched]) -> Iterator[tuple[Alert, Alert.Ending]]:
    """Alerts that are over: used less by a margin for a minute, and refusing no more; or the limit, its threshold,
    action or tenant is gone.
    """
    for row, alerts in known.items():
        found = seen.get(row)
        for threshold, alert in alerts.items():
            if found is None or threshold not in found.state.limit.alert_at:
                yield alert, Alert.Ending.GONE
            elif _fell(found, threshold) and not _returns(found, threshold):
                yield alert, Alert.Ending.FELL


def _fell(seen: Watched, threshold: int) -> bool:
    return left(threshold, used=seen.state.used, effective=seen.state.effective)


def _returns(seen: Watched, threshold: int) -> bool:
    """Whether calls of the last minute found it as full, or were refused: bursts are one alert."""
    full = bool(seen.peak.used) and not left(threshold, used=seen.peak.used, effective=seen.peak.effective)
    return full or seen.refused.state is RefusalState.REFUSING


def _alert(seen: Watched, threshold: int, now: datetime, *, muted: bool) -> Alert:
    (tenant_id, action_id, limit_name), state = seen.row, seen.state
    use = state if reached(threshold, used=state.used, effective=state.effective) else seen.peak
    return Alert(
        at=now,
        tenant_id=tenant_id,
        action_id=action_id,
        limit_name=limit_name,
        policy_name=state.limit.policy_name,
        policy_version=state.limit.policy_version,
        threshold=threshold,
        used=use.used,
        effective_limit=use.effective,
        full_in_s=seen.full_in_s,
        shadow=state.limit.shadow,
        muted=muted,
    )


def _start(alert: Alert) -> bool:
    """Store it; False when another evaluator, whose turn had run out, was faster."""
    try:
        with transaction.atomic():
            alert.save()
    except IntegrityError:
        return False
    return True


def _end(alert: Alert, ending: Alert.Ending, now: datetime) -> bool:
    """End it; False when it was ended meanwhile."""
    alert.ended_at, alert.ending = now, ending
    return Alert.objects.filter(pk=alert.pk, ended_at=None).update(ended_at=now, ending=ending) == 1


def prune(*, now: datetime | None = None) -> int:
    """Delete alerts past their retention, messages of the same age, and mutes that are over; how many rows."""
    days, now = settings.ENV.ALERTS_KEPT_DAYS, now or timezone.now()
    over = mutes.prune(now=now)
    if not days:
        return over
    oldest = now - timedelta(days=days)
    return over + pruning.delete(Alert, ended_at__lt=oldest) + pruning.delete(AlertDelivery, finished_at__lt=oldest)
