"""The alerts that last, as a page shows them: one line for each limit, with its present use and who has it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.stored import StoredReadings
from dashboard.times import epoch_ms
from limiter.alerts.models import Alert

_SHOWN = 20


def lines(known: StoredReadings, *, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The most urgent first. A limit with several alerts shows its highest threshold; ``ids`` are all of them."""
    of_limit: dict[str, list[Alert]] = defaultdict(list)
    for alert in known.alerts:
        of_limit[f"{alert.tenant_id}|{alert.action_id}|{alert.limit_name}"].append(alert)
    now = {row["id"]: row for row in rows}
    data = [_line(each, now.get(row_id), known) for row_id, each in of_limit.items()]
    return sorted(data, key=lambda line: (line["state"] == "shadow", -line["threshold"], -line["at_ms"]))[:_SHOWN]


def _line(alerts: Sequence[Alert], row: Mapping[str, Any] | None, known: StoredReadings) -> dict[str, Any]:
    highest = max(alerts, key=lambda alert: alert.threshold)
    used, effective = (row["used"], row["effective"]) if row else (highest.used, highest.effective_limit)
    kind = highest.tenant_id, highest.action_id, highest.limit_name
    incident, muted_until = known.incidents.get(kind), known.muted.get(kind)
    return {
        "id": highest.pk,
        "ids": sorted(alert.pk for alert in alerts),
        "at_ms": epoch_ms(highest.at),
        "tenant": highest.tenant_id,
        "tenant_name": known.names.get(highest.tenant_id, highest.tenant_id),
        "action": highest.action_id,
        "limit": highest.limit_name,
        "threshold": highest.threshold,
        "state": "shadow" if highest.shadow else "stop" if highest.threshold >= 100 else "near",
        "used": used,
        "effective": effective,
        "full_in_s": row["full_in_s"] if row else None,
        "acknowledged_by": highest.acknowledged_by,
        "muted_until_ms": epoch_ms(muted_until) if muted_until else None,
        "incident": incident.pk if incident else None,
        "owner": incident.owner if incident else "",
    }
