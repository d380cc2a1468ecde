"""What a tenant has of the limits that it shares, for its page: its own figures, and sums of the others'."""

from __future__ import annotations

from typing import Any

from dashboard.readings import Shared, TenantReading
from dashboard.shared_paces import PaceUse
from limiter.core.sharing import PACE


def lines(reading: TenantReading, pace: PaceUse | None, *, waiting: int) -> list[dict[str, Any]]:
    """Each shared limit, once for each of the tenant's terms in it, and the pace behind them.

    ``waiting``: the tenant's calls that wait.
    """
    paces = [pace.beside(own) for own in reading.paces.values()] if pace else []
    return [_line(shared, waiting) for shared in (*reading.shares.values(), *paces)]


def _line(shared: Shared, waiting: int) -> dict[str, Any]:
    own, of_all, terms = shared.own, shared.of_all, shared.own.limit.share
    assert terms is not None  # it is a shared limit
    return {
        "limit": own.limit.name,
        "counts": "pace" if own.limit.name == PACE else "units",
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
