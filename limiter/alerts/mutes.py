"""Which limits are muted now: their alerts start and end, and nobody gets a message of the start."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from limiter.alerts.models import Mute
from limiter.record import pruning

Row = tuple[str, str, str]
"""tenant ID, action ID ("" for all), limit name"""


def active(tenant_ids: Collection[str], *, now: datetime) -> dict[Row, datetime]:
    """The limits of these tenants that are muted, each with the end."""
    rows = Mute.objects.filter(tenant_id__in=tenant_ids, until__gt=now)
    found = rows.values_list("tenant_id", "action_id", "limit_name", "until")
    return {(tenant_id, action_id, limit): until for tenant_id, action_id, limit, until in found}


def put(row: Row, *, until: datetime, by: str, now: datetime) -> None:
    """Mute a limit until then, whatever was said before."""
    tenant_id, action_id, limit_name = row
    Mute.objects.update_or_create(
        tenant_id=tenant_id,
        action_id=action_id,
        limit_name=limit_name,
        defaults={"until": until, "by": by, "at": now},
    )


def end(row: Row, *, now: datetime) -> bool:
    """Let its alerts be sent again; False when it was not muted."""
    tenant_id, action_id, limit_name = row
    rows = Mute.objects.filter(tenant_id=tenant_id, action_id=action_id, limit_name=limit_name, until__gt=now)
    return rows.delete()[0] > 0


def prune(*, now: datetime) -> int:
    """Delete those that are over."""
    return pruning.delete(Mute, until__lt=now)
