"""The accounts of a shared limit as the store has them: who uses how much, for a page that shows all at once."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from limiter.core import keys
from limiter.core.algorithms import rules_of
from limiter.core.store import Store
from limiter.core.types import Limit, Portion, Share, Subject

_AT_ONCE = 1_000
_MAX_TURNS = 50
_UNITS = struct.Struct("<ddd")
_SLOTS = struct.Struct("<ddddd")


class Terms(NamedTuple):
    """What makes an account of a tenant. ``rank``: of its class, 1 is served first; ``ceiling``: 0 is none.

    ``in_parts``: floor and ceiling are parts of a limit that moves (:class:`~limiter.core.types.Portion`).
    """

    rank: int
    weight: int
    floor: int
    ceiling: int
    tenant: str
    in_parts: bool = False

    def in_units(self, effective: int) -> Terms:
        """With floor and ceiling as so many units, of a limit of ``effective``."""
        kind = Portion if self.in_parts else Share
        share = kind(floor=self.floor, ceiling=self.ceiling)
        return self._replace(floor=share.floor_in(effective), ceiling=share.ceiling_in(effective), in_parts=False)


class Account(NamedTuple):
    """One of them in a pool, in units or slots: its share of this slice, and how much of it is used."""

    terms: Terms
    share: int
    used: int

    @property
    def kept(self) -> int:
        """Units of its share that it has not used, and nobody else gets."""
        return max(0, self.share - self.used)


async def read(store: Store, limit: Limit, subject: Subject) -> list[Account]:
    """Those of the shared ``limit`` that this subject uses, as its last division left them; raises StoreError."""
    assert limit.share is not None  # it is a shared limit
    found = await _states(store, keys.shares(limit, subject, limit.share))
    slots = rules_of(limit.algorithm).holds_slots
    return [_account(terms, state, slots=slots) for terms, state in found.items()]


async def read_pace(store: Store, connection: int, *, interval_us: float) -> list[Account]:
    """Those of the pace that tenants of a connection share, in calls of a minute; raises StoreError.

    ``interval_us``: between two calls at the pace in force. In the store a call is as long as its own was.
    """
    found = await _states(store, keys.pace_shares(connection))
    return [_in_calls(_account(terms, state, slots=False), interval_us) for terms, state in found.items()]


def _in_calls(account: Account, interval_us: float) -> Account:
    share, used = round(account.share / interval_us), round(account.used / interval_us)
    return account._replace(share=share, used=used)


async def _states(store: Store, name: str) -> dict[bytes, bytes]:
    """Account -> its numbers. Not in one go: a pool of a thousand accounts would hold up calls for milliseconds."""
    found, cursor = dict[bytes, bytes](), b"0"
    for _ in range(_MAX_TURNS):
        # "<class>|…": the fields with a longer account behind them begin with another character.
        cursor, flat = await store.command("HSCAN", name, cursor, "MATCH", "?|*", "COUNT", _AT_ONCE, key=name)
        found |= dict(zip(flat[::2], flat[1::2], strict=True))
        if cursor == b"0":
            break
    return found


def _account(name: bytes, state: bytes, *, slots: bool) -> Account:
    """As ``charge_share.lua`` and ``charge_slot.lua`` pack it; what a newer release adds stands behind."""
    rank, weight, floor, ceiling, tenant = name.decode().split("|", 4)
    if slots:
        used, _, _, _, share = _SLOTS.unpack_from(state)
    else:
        used, _, share = _UNITS.unpack_from(state)
    least, bound = int(floor.rstrip("p")), int(ceiling.rstrip("p"))
    return Account(Terms(int(rank), int(weight), least, bound, tenant, floor.endswith("p")), int(share), int(used))


def weights(accounts: Iterable[Account]) -> Counter[int]:
    """The weights of the accounts of each class together."""
    found = Counter[int]()
    for account in accounts:
        found[account.terms.rank] += account.terms.weight
    return found


def even(terms: Terms, of_all: Mapping[int, int], *, effective: int) -> int:
    """What its weight brings an account when all of its class and above want more than they get (``dividing.lua``)."""
    beside = sum(weight for rank, weight in of_all.items() if rank <= terms.rank)
    its = terms.in_units(effective)
    part = max(effective * its.weight / beside, its.floor) if beside else float(effective)
    return int(min(part, its.ceiling) if its.ceiling else part)
