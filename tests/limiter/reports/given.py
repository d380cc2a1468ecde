"""Rows of the record and orders of exports, as the tests of reports need them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from limiter.models import Export, ThrottleEvent, UsageDay, UsageMinute

NOON = datetime(2030, 5, 2, 12, tzinfo=UTC)
DAY = datetime(2030, 5, 2, tzinfo=UTC)
LIMIT = {
    "name": "minute", "policy_name": "Base", "policy_version": 1, "algorithm": "sliding_counter",
    "counted_per": "action", "quota": 20_000, "burst": 0, "window_us": 60_000_000, "used": 12_345,
    "effective": 12_469, "shadow": False, "wait_us": 640_512,
}  # fmt: skip
"""One limit of those in force at a refusal, as its row keeps it."""


def event(number: int, **fields: Any) -> ThrottleEvent:
    base: dict[str, Any] = {
        "stream_id": f"1-{number}",
        "at": NOON + timedelta(seconds=number // 3),  # several share one instant
        "tenant_id": "acme",
        "action_id": "lookupOrder",
        "key_prefix": "abcdefghijkl",
        "request_id": f"r{number}",
        "decision_id": f"d{number}",
        "policy_name": "Base",
        "policy_version": 1,
        "limit_name": "minute",
        "used": 100,
        "quota": 100,
        "effective_limit": 62,
        "multiplier": 0.62,
        "cost": 1,
        "retry_after_ms": 640.5,
    }
    return ThrottleEvent.objects.create(**{**base, **fields})


def usage(tenant: str, *, allowed: int, refused: int) -> None:
    counts = {"allowed": allowed, "refused": refused, "latency_us_sum": 5_000 * allowed}
    for model, start in ((UsageMinute, NOON), (UsageDay, DAY)):
        model.objects.create(
            tenant_id=tenant, action_id="lookupOrder", start=start, latency_histogram={"10": allowed}, **counts
        )


def export(**fields: Any) -> Export:
    base: dict[str, Any] = {
        "kind": Export.Kind.EVENTS,
        "format": Export.Format.CSV,
        "since": DAY,
        "until": DAY + timedelta(days=1),
        "requested_name": "ana",
    }
    return Export.objects.create(**{**base, **fields})
