"""What a live page may be about."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

MAX_READ = 100
"""Tenants that a page reads each second. An overview of more reads the busiest of them (:mod:`dashboard.busiest`)."""

MAX_SEARCH = 100
_MAX_ID = 2**63


class PoolView(NamedTuple):
    """What a person asked of the page of a shared limit: which one, in what order (``-`` in front: the largest first),
    which page, and tenants with which text.
    """

    connection: int
    limit: str
    sort: str = ""
    page: int = 1
    search: str = ""


Shown = str | PoolView
"""What a page is about: a tenant, "" for the overview, or a shared limit."""


class StreamTopic(NamedTuple):
    """One page for one set of tenants. People with the same access share its frames.

    ``every``: all tenants there are, more than a page reads; ``tenant_ids`` is empty then. ``pool``: the shared limit,
    whose page reads the accounts in it and no tenant's limits.
    """

    page: str
    tenant_ids: frozenset[str]
    every: bool = False
    pool: PoolView | None = None

    @property
    def is_large(self) -> bool:
        """Whether it has more tenants than it reads."""
        return self.pool is None and (self.every or len(self.tenant_ids) > MAX_READ)


def overview(tenant_ids: Collection[str], *, every: bool = False) -> StreamTopic:
    """The overview page of who may see these tenants."""
    return StreamTopic("overview", frozenset(tenant_ids), every)


def tenant(tenant_id: str) -> StreamTopic:
    """The page of one tenant."""
    return StreamTopic("tenant", frozenset([tenant_id]))


def pool(view: PoolView, tenant_ids: Collection[str], *, every: bool = False) -> StreamTopic:
    """The page of a shared limit for who may see these tenants."""
    return StreamTopic("pool", frozenset(tenant_ids), every, view)


def view_of(connection: str | int, limit: str, query: Mapping[str, str]) -> PoolView:
    """What an address asks for. A connection that is no number is nobody's."""
    of = int(connection) if str(connection).isdecimal() else -1
    number = query.get("page", "")
    return PoolView(
        connection=of if of < _MAX_ID else -1,
        limit=limit[:MAX_SEARCH],
        sort=query.get("sort", "")[:MAX_SEARCH],
        page=max(1, int(number)) if number.isdecimal() and len(number) < 6 else 1,
        search=query.get("q", "").strip()[:MAX_SEARCH],
    )
