"""Limits that count by a value of the call, a contact for instance: each value has a count of its own.

A value is known by its keyed digest alone, which is the same wherever it was taken from: actions with other payloads
share the count of one contact. The digests that a tenant has in use are registered in the store, by the end of their
counts, so that nobody fills the store with made-up values: one above the bound is counted with all the others above it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from limiter.core.types import Limit

MISSING = "-"
"""Stands for the digest of a call without a value: all of a tenant's are counted together."""
OTHERS = "+"
"""Stands for the digest of a value above the bound: all of a tenant's are counted together."""
MAX_VALUES = 100_000
"""Counts of one limit and tenant at most."""
SHOWN = 8
"""Digits of a digest that people see."""
_BYTES = 12
_MARK = 64
_PLACE = struct.Struct("<BI")


def text_of(value: Any) -> str | None:
    """A header or a value of a payload as the text that is counted; None for anything that is no single thing.

    A number is one value however it is written (``7``, ``7.0``, ``70e-1``), and the same as the text of its digits, for
    it leads to the same URL.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int | float):
        return str(value)
    return value if isinstance(value, str) and value else None


def digest(value: Any, *, key: bytes) -> str:
    """24 hexadecimal digits; :data:`MISSING` where there is no value. ``key``: 32 bytes that no caller knows."""
    text = text_of(value)
    if text is None:
        return MISSING
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=key, digest_size=_BYTES).hexdigest()


def given(limits: Iterable[Limit], values: Sequence[str]) -> tuple[Limit, ...]:
    """The limits with these digests, in their order; without any, only the limits that count by none."""
    if not values:
        return tuple(limit for limit in limits if not limit.counted_by)
    digests = iter(values)
    return tuple(replace(limit, value=next(digests)) if limit.counted_by else limit for limit in limits)


def packed(limits: Sequence[Limit]) -> bytes:
    """The limits that count by a value, as ``values.lua`` reads them; empty if none does."""
    places = [
        _PLACE.pack(place, 0 if limit.value in (MISSING, OTHERS) else limit.max_values)
        for place, limit in enumerate(limits, start=1)
        if limit.counted_by
    ]
    return b"".join((bytes([_MARK + len(places)]), *places)) if places else b""


def length_of(valued: int) -> int:
    """Bytes that :func:`packed` takes for so many limits."""
    return 1 + valued * _PLACE.size if valued else 0


def overflowed(limits: Sequence[Limit], mask: int) -> tuple[Limit, ...]:
    """The limits as they were counted. ``mask``: a bit for each that counts by a value, set where that was above."""
    found, bit = [], 1
    for limit in limits:
        if limit.counted_by:
            found.append(replace(limit, value=OTHERS) if mask & bit else limit)
            bit *= 2
        else:
            found.append(limit)
    return tuple(found)
