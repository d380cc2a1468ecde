"""The row of a decision ID: its own, or the one that a flood was folded into."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db.models import QuerySet

from limiter.core import decision_ids
from limiter.core.decision_ids import IdKind, RefusedId
from limiter.record.models import ThrottleEvent

Events = QuerySet[ThrottleEvent]


def event_of(decision_id: str, *, among: Events) -> ThrottleEvent | None:
    """The event of a decision, among those that the person sees; None if there is none."""
    return rows_of(decision_id, among=among).order_by("pk").first()


def rows_of(decision_id: str, *, among: Events) -> Events:
    """The same as a query, for lists."""
    own = among.filter(decision_id=decision_id)
    refused = decision_ids.read(decision_id)
    if refused is None or own.exists():
        return own
    half = among.filter(decision_id=refused.half)  # as an earlier release stores it that runs beside this one
    return half if half.exists() else among.filter(pk__in=_folded_into(refused, among))


def _folded_into(refused: RefusedId, among: Events) -> list[int]:
    """Of the rows of its kind and second the first that is not before it: a second may be folded in two parts."""
    try:
        at = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=refused.at_us)
    except OverflowError:
        return []
    second = at.replace(microsecond=0)
    rows = among.filter(first_at=second, at__gte=at, at__lt=second + timedelta(seconds=1)).order_by("at", "pk")
    named = rows.values_list("pk", "tenant_id", "action_id", "key_prefix", "limit_name", "shadow")
    return [pk for pk, *kind in named if IdKind._make(kind).digest == refused.kind][:1]
