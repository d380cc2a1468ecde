"""In whose names the limiter holds units: hexadecimal, so that the script can tell them from all else in a count."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import NamedTuple

from quota_platform.base.ids import new_id

_KEY_BYTES, _REST_BYTES = 4, 6


class Names(NamedTuple):
    """``client``: by which later calls are known: those of the same key and action, and of the same Idempotency-Key
    where there is one. ``itself``: this call alone, while it waits. Both begin with the key's, so that its units can be
    counted. ``returned``: it was refused and comes back at the time that was named, and the store does not know its
    client.
    """

    client: str
    itself: str
    returned: bool = False

    @classmethod
    def of(cls, key_prefix: str, tenant_id: str, action_id: str, idempotency_key: str | None) -> Names:
        key = _digest(key_prefix or tenant_id, _KEY_BYTES)
        said = "" if idempotency_key is None else "=" + idempotency_key
        return cls(key + _digest(f"{tenant_id}|{action_id}|{said}", _REST_BYTES), key + new_id()[: 2 * _REST_BYTES])


NAMELESS = Names("", "")
RETURNED = Names("", "", returned=True)


@lru_cache(4096)
def _digest(text: str, length: int) -> str:
    return hashlib.blake2b(text.encode(), digest_size=length).hexdigest()
