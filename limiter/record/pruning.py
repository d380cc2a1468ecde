"""The end of rows that were kept long enough."""

from __future__ import annotations

from datetime import datetime
from typing import Any

_DELETED_AT_ONCE = 5_000


def delete(model: type[Any], **older: datetime) -> int:
    """Delete what these lookups find, in short transactions; returns how many rows went."""
    gone = 0
    while ids := list(model.objects.filter(**older).order_by().values_list("pk", flat=True)[:_DELETED_AT_ONCE]):
        gone += model.objects.filter(pk__in=ids).delete()[0]
    return gone
