"""The alerts that last, as a page shows them: one line for each limit, with its present use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from limiter.alerts.models import Alert

_SHOWN = 20


def lines(
    alerts: Sequence[Alert], *, rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The most urgent first. A limit with several alerts shows its highest threshold; ``ids`` are all of them."""
    of_limit: dict[str, list[Alert]] = defaultdict(list)
    for alert in alerts:
        of_limit[f"{alert.tenant_id}|{alert.action_id}|{alert.limit_name}"].append(alert)
    now = {row["id"]: row for row in rows}
    data = [_line(each, now.get(row_id), names) for row_id, each in of_limit.items()]
    return sorted(data, key=lambda line: (line["state"] == "shadow", -line["threshold"], -line["at_ms"]))[:_SHOWN]


def _line(alerts: Sequence[Alert], row: Mapping[str, Any] | None, names: Mapping[str, str]) -> dict[str, Any]:
    highest = max(alerts, key=lambda alert: alert.threshold)
    used, effective = (row["used"], row["effective"]) if row else (highest.used, highest.effective_limit)
    return {
        "id": highest.pk,
        "ids": sorted(alert.pk for alert in alerts),
        "at_ms": int(highest.at.timestamp() * 1000),
        "tenant": highest.tenant_id,
        "tenant_name": names.get(highest.tenant_id, highest.tenant_id),
        "action": highest.action_id,
        "limit": highest.limit_name,
        "threshold": highest.threshold,
        "state": "shadow" if highest.shadow else "stop" if highest.threshold >= 100 else "near",
        "used": used,
        "effective": effective,
        "full_in_s": row["full_in_s"] if row else None,
    }
