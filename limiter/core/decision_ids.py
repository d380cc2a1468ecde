"""IDs of decisions: one that was refused leads to its row in the record, also to the row that a flood was folded into.

A worker draws the first half before it calls the store. The store's part of a refusal, its instant and kind,
makes the second half, for the caller as for the record: no ID has to be stored beside the row that it belongs to.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from limiter.core.types import Decision, LimitState

UPSTREAM = "(upstream)"
"""Stands in the place of a limit's name where the upstream took no calls (``decide.lua``)."""
_MARK = "q"
"""First letter of these IDs; those of earlier releases are hexadecimal."""
_HALF, _AT_BYTES, _KIND_BYTES = 16, 7, 3
_DIGITS = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]
"""Base32, ten bits at a time: a flood has thousands of IDs a second, and the standard library takes twice as long."""
_TEN_BITS = range(8 * (_AT_BYTES + _KIND_BYTES) - 10, -1, -10)


class IdKind(NamedTuple):
    """What refusals of one kind have in common, beside their second. ``limit``: the name of the one that bound."""

    tenant: str
    action: str
    key_prefix: str
    limit: str
    shadow: bool

    @property
    def digest(self) -> bytes:
        return _digest(self)


@lru_cache(4096)
def _digest(kind: IdKind) -> bytes:
    text = "|".join((*kind[:-1], str(int(kind.shadow))))
    return hashlib.blake2b(text.encode(), digest_size=_KIND_BYTES).digest()


class RefusedId(NamedTuple):
    """A whole ID, read. ``half``: as drawn; ``at_us``: the store's clock, microseconds since the epoch."""

    half: str
    at_us: int
    kind: bytes


def half_of(random: str) -> str:
    """The half that is drawn, from at least 15 random digits."""
    return _MARK + random[: _HALF - 1]


def complete(decision_id: str, at_us: int, kind: IdKind) -> str:
    """The whole ID of a refusal. One that was drawn whole, as earlier releases do, stays."""
    if len(decision_id) != _HALF or decision_id[0] != _MARK:
        return decision_id
    rest = at_us << 8 * _KIND_BYTES | int.from_bytes(kind.digest, "big")
    return decision_id + "".join([_PAIRS[rest >> at & 1023] for at in _TEN_BITS])


def read(decision_id: str) -> RefusedId | None:
    """What :func:`complete` wrote into an ID; None for any other."""
    if len(decision_id) != 2 * _HALF or decision_id[0] != _MARK:
        return None
    try:
        rest = base64.b32decode(decision_id[_HALF:].upper())
    except ValueError:
        return None
    return RefusedId(decision_id[:_HALF], int.from_bytes(rest[:_AT_BYTES], "big"), rest[_AT_BYTES:])


def kept(decision: Decision, *, tenant: str, action: str, key_prefix: str) -> str:
    """The ID that the decision has in the record; as it was drawn if nothing of it is recorded."""
    if decision.paused_us:
        limit, shadow = UPSTREAM, False
    elif refusing := decision.violated if not decision.allowed else decision.shadow_violated:
        limit, shadow = binding(refusing).limit.name, decision.allowed
    else:
        return decision.decision_id
    return complete(decision.decision_id, decision.at_us, IdKind(tenant, action, key_prefix, limit, shadow))


def binding(violated: Sequence[LimitState]) -> LimitState:
    """The limit that a refusal names: the one whose wait ends last; one that can never pass comes first."""
    if len(violated) == 1:
        return violated[0]
    return max(violated, key=lambda state: float("inf") if state.wait_us < 0 else float(state.wait_us))
