"""Which version of a row somebody has seen: marks of its values, so that a stale write can be refused.

A mark is a digest, not a counter: it needs no column, it holds for every writer (``QuerySet.update()``, SQL, the other
release), and a row that was changed and changed back is the row that was seen. Marks are keyed, so that they say
nothing of a value to who may not read it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, TypeVar

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, QuerySet

from quota_platform.base.models.change import Change

M = TypeVar("M", bound=Model)
_SIZE = 12
"""Bytes of a mark: far more than what two people who edit one row need."""


def mark(value: Any) -> str:
    """A short text that another value practically never has."""
    plain = json.dumps(value, cls=DjangoJSONEncoder, sort_keys=True, separators=(",", ":"))
    key = hashlib.sha256(settings.SECRET_KEY.encode()).digest()
    digest = hashlib.blake2b(plain.encode(), digest_size=_SIZE, key=key, person=b"row version")
    return base64.urlsafe_b64encode(digest.digest()).decode()


def columns(row: Model) -> dict[str, Any]:
    """What the row holds now, column by column."""
    return {column.attname: getattr(row, column.attname) for column in row._meta.concrete_fields}


def locked(rows: QuerySet[M]) -> QuerySet[M]:
    """The rows, kept from other writers until the transaction ends.

    The turn is taken first, as :class:`~quota_platform.base.models.published.Published` takes it: two edits wait for
    each other where neither holds anything yet. Also of models that workers hold no copies of: a hook goes with its
    tenant.
    """
    Change.objects.using(rows.db).take_turn()
    return rows.select_for_update(of=("self",))
