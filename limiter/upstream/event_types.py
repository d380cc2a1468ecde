"""The events of connections: one cannot be used, and can be used again."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.translation import gettext_lazy as _
from redis.exceptions import RedisError

from limiter import clients
from limiter.upstream import health
from quota_platform.base.events import Condition, EventType, Lasting
from tenants.models import Connection, Tenant

_EXAMPLE = {
    "tenant_id": None,
    "connection_id": 2,
    "connection": "cxone-eu",
    "reason": "the token endpoint refused the client's credentials",
    "since": "2026-11-25T10:30:00+00:00",
    "url": "https://quota.example.com/admin/tenants/connection/2/change/",
}
_FACTS = {"Connection": "connection", "Reason": "reason", "Since": "since"}
_PAGE = "/admin/tenants/connection/{connection_id}/change/"
_INCIDENT = "quota-connection-{connection_id}"


def _unusable() -> Iterable[Condition] | None:
    """As the workers that use them found them."""
    rows = Connection.objects.filter(enabled=True).values_list("uid", "pk", "name")
    known = {str(uid): (pk, name) for uid, pk, name in rows}
    try:
        with clients.shared_client() as client:
            faults = health.read(client, known)
    except (RedisError, OSError):
        return None
    return [
        Condition(
            key=uid,
            data={"connection_id": known[uid][0], "connection": known[uid][1], "reason": fault.reason},
            tenants=Tenant.objects.filter(connection=known[uid][0]),
            at_once=fault.lasting,
        )
        for uid, fault in faults.items()
    ]


TYPES = (
    EventType(
        name="connection.unhealthy",
        label=_("connection cannot be used"),
        title="Connection {connection} cannot be used",
        subject="{connection}",
        facts=_FACTS,
        severity="error",
        incident=_INCIDENT,
        example=_EXAMPLE,
        page=_PAGE,
        lasting=Lasting(now=_unusable),
    ),
    EventType(
        name="connection.healthy",
        label=_("connection can be used again"),
        title="Over: connection {connection} can be used again",
        subject="{connection}",
        facts={**_FACTS, "Until": "until"},
        incident=_INCIDENT,
        ends="connection.unhealthy",
        example={**_EXAMPLE, "until": "2026-11-25T10:41:00+00:00"},
        page=_PAGE,
    ),
)
