"""What a live page may be about."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple


class StreamTopic(NamedTuple):
    """One page for one set of tenants. People with the same access share its frames."""

    page: str
    tenant_ids: frozenset[str]


def overview(tenant_ids: Collection[str]) -> StreamTopic:
    """The overview page of who may see these tenants."""
    return StreamTopic("overview", frozenset(tenant_ids))


def tenant(tenant_id: str) -> StreamTopic:
    """The page of one tenant."""
    return StreamTopic("tenant", frozenset([tenant_id]))
