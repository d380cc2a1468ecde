"""Connections that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from limiter import clients
from limiter.upstream import health
from quota_platform.base.attention import Notice
from quota_platform.base.kept import in_words
from quota_platform.base.row_access import viewed
from tenants.models import Connection

_MAX_READ = 2_000
"""Connections whose state is read at once: a platform has dozens."""


def notices(person: Any) -> Iterator[Notice]:
    """As the workers that use them found them; nothing while nobody can tell."""
    rows = viewed(person, Connection).filter(enabled=True).order_by("name")[:_MAX_READ]
    names = {str(uid): (pk, name) for pk, uid, name in rows.values_list("pk", "uid", "name")}
    try:
        with clients.shared_client() as client:
            faults = health.read(client, names)
    except (RedisError, OSError):
        return
    for uid, fault in faults.items():
        pk, name = names[uid]
        text = _("The connection {name} cannot be used: {reason}").format(name=name, reason=in_words(fault.reason))
        yield Notice(text, reverse("admin:tenants_connection_change", args=[pk]), urgent=True)
