"""IDs of decisions: one that was refused leads to its row in the record, also to the row that a flood was folded into.

A worker draws the first half before it calls the store. The store's part of a refusal, its instant and kind,
makes the second half, for the caller as for the record: no ID has to be stored beside the row that it belongs to.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from limiter.core.types import Decision, LimitState

UPSTREAM = "(upstream)"
"""Stands in the place of a limit's name where the upstream took no calls (``decide.lua``)."""
_MARK = "q"
"""First letter of these IDs; those of earlier releases are hexadecimal."""
_HALF, _AT_BYTES, _KIND_BYTES = 16, 7, 3


class Kind(NamedTuple):
    """What refusals of one kind have in common, beside their second. ``limit``: the name of the one that bound."""

    tenant: str
    action: str
    key_prefix: str
    limit: str
    shadow: bool

    @property
    def digest(self) -> bytes:
        text = "|".join((self.tenant, self.action, self.key_prefix, self.limit, str(int(self.shadow))))
        return hashlib.blake2b(text.encode(), digest_size=_KIND_BYTES).digest()


class RefusedId(NamedTuple):
    """A whole ID, read. ``half``: as drawn; ``at_us``: the store's clock, microseconds since the epoch."""

    half: str
    at_us: int
    kind: bytes


def half_of(random: str) -> str:
    """The half that is drawn, from at least 15 random digits."""
    return _MARK + random[: _HALF - 1]


def complete(decision_id: str, at_us: int, kind: Kind) -> str:
    """The whole ID of a refusal. One that was drawn whole, as earlier releases do, stays."""
    if len(decision_id) != _HALF or decision_id[0] != _MARK:
        return decision_id
    rest = at_us.to_bytes(_AT_BYTES, "big") + kind.digest
    return decision_id + base64.b32encode(rest).decode().lower()


def read(decision_id: str) -> RefusedId | None:
    """What :func:`complete` wrote into an ID; None for any other."""
    if len(decision_id) != 2 * _HALF or decision_id[0] != _MARK:
        return None
    try:
        rest = base64.b32decode(decision_id[_HALF:].upper())
    except ValueError:
        return None
    return RefusedId(decision_id[:_HALF], int.from_bytes(rest[:_AT_BYTES], "big"), rest[_AT_BYTES:])


def identified(decision: Decision, *, tenant: str, action: str, key_prefix: str) -> Decision:
    """The decision under the ID that its record has; unchanged if nothing of it is recorded."""
    if decision.paused_us:
        limit, shadow = UPSTREAM, False
    elif refusing := decision.violated if not decision.allowed else decision.shadow_violated:
        limit, shadow = binding(refusing).limit.name, decision.allowed
    else:
        return decision
    kind = Kind(tenant, action, key_prefix, limit, shadow)
    return decision._replace(decision_id=complete(decision.decision_id, decision.at_us, kind))


def binding(violated: Sequence[LimitState]) -> LimitState:
    """The limit that a refusal names: the one whose wait ends last; one that can never pass comes first."""
    if len(violated) == 1:
        return violated[0]
    return max(violated, key=lambda state: float("inf") if state.wait_us < 0 else float(state.wait_us))
