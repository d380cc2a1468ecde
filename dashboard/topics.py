"""What a live page may be about."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

MAX_READ = 100
"""Tenants that a page reads each second. An overview of more reads the busiest of them (:mod:`dashboard.busiest`)."""


class StreamTopic(NamedTuple):
    """One page for one set of tenants. People with the same access share its frames.

    ``every``: all tenants there are, more than a page reads; ``tenant_ids`` is empty then.
    """

    page: str
    tenant_ids: frozenset[str]
    every: bool = False

    @property
    def is_large(self) -> bool:
        """Whether it has more tenants than it reads."""
        return self.every or len(self.tenant_ids) > MAX_READ


def overview(tenant_ids: Collection[str], *, every: bool = False) -> StreamTopic:
    """The overview page of who may see these tenants."""
    return StreamTopic("overview", frozenset(tenant_ids), every)


def tenant(tenant_id: str) -> StreamTopic:
    """The page of one tenant."""
    return StreamTopic("tenant", frozenset([tenant_id]))
