"""Refusals of Acme's, as the tests of incidents need them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from limiter.models import Incident, ThrottleEvent
from tests.limiter.reports.given import LIMIT, event

NOON = datetime(2030, 5, 2, 12, tzinfo=UTC)
_numbers = count(1)


def minutes(number: float) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=number)


def refusal(at: float, *, per: str = "action", **fields: Any) -> ThrottleEvent:
    """A stored refusal so many minutes after noon, of a limit that counts per action or otherwise."""
    name = fields.setdefault("limit_name", "minute")
    limits = [{**LIMIT, "name": name, "counted_per": per}]
    return event(next(_numbers), at=minutes(at), limits=limits, **fields)


def incident(**fields: Any) -> Incident:
    """A stored incident of Acme's look-ups that lasts since noon."""
    base: dict[str, Any] = {
        "at": NOON,
        "last_at": NOON,
        "tenant_id": "acme",
        "action_id": "lookupOrder",
        "limit_name": "minute",
        "policy_name": "Base",
        "policy_version": 1,
        "refusals": 1,
        "quota": 100,
        "effective_limit": 100,
    }
    return Incident.objects.create(**{**base, **fields})
