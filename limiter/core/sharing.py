"""Shares of a limit that all tenants of a connection use: how they are packed for the deciding script, and read.

The mathematics and the guarantees are in docs/sharing.md, the division itself in ``lua/dividing.lua``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import IntEnum
from functools import lru_cache

from limiter.core.algorithms import rules_of
from limiter.core.types import MICROS, CountedPer, Limit, ServiceClass, Share, ShareState, Subject

PACE = "(pace)"
"""The name of the pace where tenants share it, which no limit of a policy can have."""
MIN_SLICE_US = 50_000
_SHARED = struct.Struct("<dBd")
WINDOWS, SLOTS = 1, 2
NUMBERS_OF_STATE = 5


_NUMBERS = {each: number for number, each in enumerate(ServiceClass, start=1)}


class Refused(IntEnum):
    """What of a shared limit refused a call."""

    NOTHING = 0
    CEILING = 1
    SHARE = 2
    FULL = 3


def slices(limit: Limit, share: Share) -> tuple[int, int]:
    """How long a slice of a shared limit is (us), and for how many of them its units count."""
    length = max(MIN_SLICE_US, rules_of(limit.algorithm).share_slice_us(limit, share.over_us))
    return length, -(-share.over_us // length)


def packed(limit: Limit, subject: Subject) -> bytes:
    """As ``decide.lua`` unpacks it, behind the limit; empty for a limit that is not shared.

    An account is a tenant in one class, and its name contains its terms too: one that is edited starts anew.
    """
    if (share := limit.share) is None:
        return b""
    return _packed(share, subject, *slices(limit, share))


def packed_terms(paced: Share, subject: Subject) -> bytes:
    """The same of a shared pace, whose slices are seconds of a minute."""
    return _packed(paced, subject, MICROS, 60)


def _packed(share: Share, subject: Subject, length_us: int, count: int) -> bytes:
    _, name = account(share, subject)
    ceiling = -share.ceiling if share.in_parts else share.ceiling
    return _SHARED.pack(length_us, count, ceiling) + name.encode() + b"\0"


def rank(share: Share | None, subject: Subject) -> int:
    """The number of its class, the first that is served; that of normal calls for a limit that is not shared.

    The class is the limit's, or the subject's highest where that is lower.
    """
    given = ServiceClass.NORMAL if share is None else share.service_class
    return max(_NUMBERS[given], _NUMBERS[subject.max_class])


def account(share: Share, subject: Subject) -> tuple[int, str]:
    """The rank of its class, and its name in the pool.

    One of a lower class than the limit's is without the floor, which the tenant has once. A ceiling holds for all calls
    of the tenant together: they stay in one account.
    """
    number, floor = _NUMBERS[share.service_class], share.floor
    if not share.ceiling and rank(share, subject) > number:
        number, floor = rank(share, subject), 0
    parts = "p" if share.in_parts else ""
    return number, f"{number}|{share.weight}|{floor}{parts}|{share.ceiling}{parts}|{subject.tenant}"


def kinds(limits: Iterable[Limit]) -> int:
    """Whether limits among these are shared: :data:`WINDOWS`, :data:`SLOTS` of concurrency, both or 0."""
    found = 0
    for limit in limits:
        if limit.share:
            found |= SLOTS if rules_of(limit.algorithm).holds_slots else WINDOWS
    return found


def name_of(limit: Limit, subject: Subject) -> str:
    """The account of its calls; empty for a limit that is not shared."""
    return account(limit.share, subject)[1] if limit.share else ""


def lent(refused: int, *, even: int, share: int, used: int) -> int:
    """Units of an account's even part that others had when its call was refused.

    Those that it does not ask for; all that it does not have if the limit was full.
    """
    return max(0, even - (used if refused == Refused.FULL else max(share, used)))


@lru_cache(maxsize=256)
def pace_limit(paced: Share) -> Limit:
    """A shared pace as a limit of its own, for a :class:`ShareState`: its units are calls a minute."""
    minute_us = 60 * MICROS
    per = CountedPer.CONNECTION
    return Limit(
        PACE, "sliding_log", 1, minute_us, counted_per=per, adaptive=False, share=replace(paced, over_us=minute_us)
    )


def of_pace(paced: Share | None, numbers: Sequence[int]) -> tuple[ShareState, ...]:
    """The end of the script's reply where tenants share a pace; nothing while there is none."""
    return (ShareState(pace_limit(paced), *numbers),) if paced and len(numbers) == NUMBERS_OF_STATE else ()


def read(limits: Iterable[Limit], numbers: Sequence[int]) -> tuple[ShareState, ...]:
    """The end of the script's reply for a refused call, and for one that only looked."""
    shared = (limit for limit in limits if limit.share)
    return tuple(map(ShareState, shared, *(numbers[place::NUMBERS_OF_STATE] for place in range(NUMBERS_OF_STATE))))
