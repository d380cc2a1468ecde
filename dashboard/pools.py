"""A shared limit seen whole: every tenant's part of it, live, sorted and cut into pages here."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from django.db import Error as DatabaseFault
from django.db.models import Sum
from django.utils import timezone

from dashboard.deltas import Frame
from dashboard.pool_table import order_of
from dashboard.readings import READ_EVERY_S, Shared, TenantReading
from dashboard.shared_paces import SharedPaces
from dashboard.stored import LATELY_MINUTES
from dashboard.topics import StreamTopic
from limiter.core import accounts
from limiter.core.accounts import Account, Terms
from limiter.core.algorithms import rules_of
from limiter.core.sharing import PACE
from limiter.core.store import Store
from limiter.core.types import MICROS, ServiceClass, ShareState, Subject
from limiter.live.queries import Aside
from limiter.policies import pools
from limiter.policies.pools import PoolMember
from limiter.record.models import ThrottleEvent
from limiter.record.models.event import UPSTREAM

PAGE_SIZE = 50
STORED_EVERY_S = 5.0
"""How often the terms and the refusals are read from the database."""
_TRIES = 3
"""Tenants that are asked for the limit, should the first have no call under it."""
_RANKS = {each.value: rank for rank, each in enumerate(ServiceClass, start=1)}
_CLASSES = {rank: name for name, rank in _RANKS.items()}
_NEVER = float("-inf")
_OF_LIMIT, _OF_PACE = ("pool.unknown", "pool.full", "pool.free"), ("pace.unknown", "pace.full", "pace.free")
_PACE_USED = 0.95
"""The part of a minute's calls from which a pace is used up: it moves, and its minute ends with a whole second."""


class StoredPool(NamedTuple):
    """The database's part. ``refused``: tenant -> calls that the limit refused in the last quarter of an hour.

    Of a pace all that were held back, in a pause of the upstream too.
    """

    members: Sequence[PoolMember] = ()
    refused: Mapping[str, int] = {}


@dataclass(slots=True)
class PoolReading:
    """One shared limit as it was read last. ``limit``: as one of its tenants finds it; None while none does."""

    stored: StoredPool = field(default_factory=StoredPool)
    limit: Shared | None = None
    accounts: list[Account] = field(default_factory=list)
    at: float = 0.0
    stored_at: float = _NEVER
    read_at: float = _NEVER


ReadTenant = Callable[[str], Awaitable[TenantReading]]


def read_stored(connection: int, limit: str) -> StoredPool:
    """For a thread."""
    members = pools.members(connection, limit)
    since = timezone.now() - timedelta(minutes=LATELY_MINUTES)
    name = UPSTREAM if limit == PACE else limit
    lately = ThrottleEvent.objects.filter(at__gte=since, limit_name=name, shadow=False)
    counted = lately.filter(tenant_id__in={each.tenant_id for each in members}).order_by().values_list("tenant_id")
    return StoredPool(members, dict(counted.annotate(calls=Sum("count"))))


class Pools:
    """One per worker. ``read_tenant``: a tenant's limits, read once a second for all who ask."""

    def __init__(
        self,
        store: Store,
        aside: Aside,
        read_tenant: ReadTenant,
        paces: SharedPaces,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._aside = aside
        self._read_tenant = read_tenant
        self._paces = paces
        self._clock = clock
        self._held: dict[tuple[int, str], PoolReading] = {}

    async def read(self, connection: int, limit: str) -> PoolReading:
        """As it is now; an unavailable store leaves the last numbers. Raises a database fault at the first look."""
        held, now = self._held.setdefault((connection, limit), PoolReading()), self._clock()
        if now - held.stored_at >= STORED_EVERY_S:
            await self._read_stored(held, connection, limit)
            held.stored_at = now
        if now - held.read_at >= READ_EVERY_S:
            held.read_at = now
            await self._look(held, connection, limit)
        return held

    async def _read_stored(self, held: PoolReading, connection: int, limit: str) -> None:
        try:
            held.stored = await self._aside.run(read_stored, connection, limit)
        except DatabaseFault:
            if held.stored_at == _NEVER:
                raise

    async def _look(self, held: PoolReading, connection: int, limit: str) -> None:
        """By the look at one of its tenants, which also divides the limit anew when that is due."""
        for tenant_id in [each.tenant_id for each in held.stored.members if each.calls][:_TRIES]:
            reading = await self._read_tenant(tenant_id)
            if limit == PACE and reading.paces:
                return await self._look_at_pace(held, connection, next(iter(reading.paces.values())))
            found = [shared for (name, _), shared in reading.shares.items() if name == limit]
            if found:
                held.limit, held.at = found[0], reading.at
                subject = Subject(connection, tenant_id, "", "")
                held.accounts = await accounts.read(self._store, found[0].own.limit, subject)
                return

    async def _look_at_pace(self, held: PoolReading, connection: int, own: ShareState) -> None:
        """Unlike a limit it may end: then nothing is known."""
        use = await self._paces.read(connection)
        held.limit, held.accounts, held.at = None, [], time.time()
        if use is not None:
            held.limit, held.accounts = use.beside(own), use.accounts

    def forget(self, watched: Collection[tuple[int, str]]) -> None:
        """Keep only these."""
        self._held = {name: held for name, held in self._held.items() if name in watched}


def frame(reading: PoolReading, topic: StreamTopic) -> Frame:
    """The members of a frame that are a shared limit's own: the rows of one page, and the sums of all tenants.

    A tenant that the topic's people may not see stands in the sums alone.
    """
    view = topic.pool
    assert view is not None  # it is the topic of a shared limit
    seen = [row for row in _rows(reading) if topic.every or row["tenant"] in topic.tenant_ids]
    rows = [row for row in seen if _found(row, view.search)]
    sort = order_of(view.sort)
    rows.sort(key=lambda row: (row["tenant_name"].casefold(), row["id"]))
    rows.sort(key=_order(sort.removeprefix("-")), reverse=sort.startswith("-"))
    pages = max(1, -(-len(rows) // PAGE_SIZE))
    page = min(view.page, pages)
    shown = rows[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    sums = {"count": len(rows), "page": page, "pages": pages, "sort": sort}
    return {"rows": [row | {"place": place} for place, row in enumerate(shown)], "pool": {**_sums(reading), **sums}}


def sentence(reading: PoolReading, limit: str) -> tuple[str, Frame]:
    """The state of the limit, and a text."""
    full_from, (unknown, full, free) = (_PACE_USED, _OF_PACE) if limit == PACE else (1, _OF_LIMIT)
    if reading.limit is None:
        return "unknown", {"code": unknown}
    of_all = reading.limit.of_all
    numbers = {"used": of_all.used, "effective": of_all.effective}
    if of_all.used >= full_from * of_all.effective:
        return "near", {"code": full, **numbers}
    return "ok", {"code": free, **numbers}


def _order(name: str) -> Callable[[Frame], Any]:
    if name == "tenant":
        return lambda row: row["tenant_name"].casefold()
    if name == "class":
        return lambda row: _RANKS[row["class"]]
    nothing = float("inf") if name == "ceiling" else -1  # no ceiling is the highest
    return lambda row: nothing if row[name] is None else row[name]


def _found(row: Frame, search: str) -> bool:
    wanted = search.casefold()
    return wanted in row["tenant_name"].casefold() or wanted in row["tenant"].casefold()


def _rows(reading: PoolReading) -> list[Frame]:
    """One for each account, and for each of a tenant's terms under which it has none: it has not called lately."""
    effective = reading.limit.of_all.effective if reading.limit else 0
    held = {each.terms: each for each in reading.accounts}
    names = {member.tenant_id: member.name for member in reading.stored.members}
    of_all, refused = accounts.weights(reading.accounts), reading.stored.refused
    rows = {terms: _row(terms, names, effective) for terms in map(_terms, reading.stored.members)}
    for terms, account in held.items():
        if terms.tenant in names:
            rows[terms] = _row(terms, names, effective) | _part(
                account, accounts.even(terms, of_all, effective=effective)
            )
    return [row | {"refused_15m": refused.get(row["tenant"], 0)} for row in rows.values()]


def _terms(member: PoolMember) -> Terms:
    its = member.terms
    rank = _RANKS.get(its.service_class, _RANKS[ServiceClass.NORMAL])
    return Terms(rank, its.weight, its.floor, its.ceiling or 0, member.tenant_id, member.in_parts)


def _row(terms: Terms, names: Mapping[str, str], effective: int) -> Frame:
    """Of one that has not called lately."""
    units = terms.in_units(effective)
    return {
        "id": "|".join(map(str, terms[:5])),
        "tenant": terms.tenant,
        "tenant_name": names[terms.tenant],
        "class": _CLASSES[terms.rank],
        "weight": terms.weight,
        "floor": units.floor,
        "ceiling": units.ceiling or None,
        **dict.fromkeys(("share", "used", "owed", "lent", "borrowed"), None),
    }


def _part(account: Account, even: int) -> Frame:
    return {
        "share": account.share,
        "used": account.used,
        "owed": account.kept,
        "lent": max(0, even - max(account.share, account.used)),
        "borrowed": max(0, account.used - even),
    }


def _sums(reading: PoolReading) -> Frame:
    if reading.limit is None:
        return {}
    of_all, limit = reading.limit.of_all, reading.limit.own.limit
    weights = accounts.weights(reading.accounts)
    borrowed = sum(
        max(0, each.used - accounts.even(each.terms, weights, effective=of_all.effective)) for each in reading.accounts
    )
    return {
        "limit": limit.name,
        "window_seconds": limit.window_us // MICROS,
        "quota": of_all.effective if limit.name == PACE else rules_of(limit.algorithm).capacity(limit),
        "effective": of_all.effective,
        "used": of_all.used,
        "owed": sum(each.kept for each in reading.accounts),
        "borrowed": borrowed,
    }
