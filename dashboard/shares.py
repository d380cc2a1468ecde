"""What a tenant has of the limits that it shares, for its page: its own figures, and sums of the others'."""

from __future__ import annotations

from typing import Any

from dashboard.readings import Shared, TenantReading


def lines(reading: TenantReading, *, waiting: int) -> list[dict[str, Any]]:
    """Each shared limit, once for each of the tenant's terms in it; ``waiting``: the tenant's calls that wait."""
    return [_line(shared, waiting) for shared in reading.shares.values()]


def _line(shared: Shared, waiting: int) -> dict[str, Any]:
    own, of_all, terms = shared.own, shared.of_all, shared.own.limit.share
    assert terms is not None  # it is a shared limit
    return {
        "limit": own.limit.name,
        "class": terms.service_class.value,
        "floor": terms.floor_in(of_all.effective),
        "ceiling": terms.ceiling_in(of_all.effective) or None,
        "even": own.even,
        "share": own.share,
        "used": own.used,
        "owed": own.kept,
        "borrowed": own.borrowed,
        "lent": own.lent,
        "owed_to_others": own.owed,
        "used_by_all": of_all.used,
        "effective": of_all.effective,
        "waiting": waiting,
    }
