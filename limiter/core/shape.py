"""The shape of a stack: everything that tenants under the same limits have in common, made once for all of them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import NamedTuple

from limiter.core import description, sharing, values
from limiter.core.algorithms import pool_in_count, rules_of
from limiter.core.ends import LearningSettings
from limiter.core.types import Limit, Subject

_SHADOW, _ADAPTIVE, _LEARNED, _SHARED, _RESERVABLE, _POOL_IN_COUNT = 1, 2, 4, 8, 16, 32
_LIMIT = struct.Struct("<cQQQQB")
"""A limit as the script unpacks it: algorithm, quota, window, burst, lease, flags.

One argument for all limits costs the store less than six for each, to be read, kept and turned into numbers.
"""
_NOBODY = Subject(0, "", "", "")


class Learned(NamedTuple):
    """The limit of calls in flight that a connection learns, and by which settings (:mod:`limiter.core.in_flight`)."""

    limit: Limit
    settings: LearningSettings


class LimitsThen(NamedTuple):
    """The limits that replace a stack's at ``at_us`` (epoch microseconds): an override starts or ends then.

    They have the same names, algorithms and windows, in the same order.
    """

    at_us: int
    limits: tuple[Limit, ...]


class Shape(NamedTuple):
    """The parts of a stack that do not depend on its subject.

    ``slots``: places of those that hold slots. ``packed``: None where the subject's shares are a part of it.
    """

    described: str
    packed: bytes | None
    reserves: bool
    shares: int
    shared: tuple[Limit, ...]
    valued: tuple[Limit, ...]
    slots: tuple[int, ...]


def shape_of(limits: tuple[Limit, ...], change: LimitsThen | None, learned: Learned | None) -> Shape:
    """Raises ValueError when two limits share a name."""
    # Callers choose values: shapes of limits that have one push no other out.
    of = _shape if any(limit.counted_by for limit in limits) else _kept_shape
    return of(limits, change, learned)


def _shape(limits: tuple[Limit, ...], change: LimitsThen | None, learned: Learned | None) -> Shape:
    if len({limit.name for limit in limits}) != len(limits):
        raise ValueError("two limits of a stack have the same name")
    shared = tuple(limit for limit in limits if limit.share)
    return Shape(
        described=description.write(limits),
        packed=None if shared else packed_limits(limits, _NOBODY, change=change, learned=learned),
        reserves=any(limit.reserve_us and not limit.shadow for limit in limits),
        shares=sharing.kinds(limits),
        shared=shared,
        valued=tuple(limit for limit in limits if limit.counted_by),
        slots=tuple(place for place, limit in enumerate(limits) if rules_of(limit.algorithm).holds_slots),
    )


_kept_shape = lru_cache(maxsize=1024)(_shape)


def packed_limits(
    limits: Sequence[Limit], subject: Subject, *, change: LimitsThen | None, learned: Learned | None
) -> bytes:
    """The script's argument for all of them."""
    shared = sum(limit.share is not None for limit in limits)
    one = partial(_packed_one, subject=subject, learned=learned)
    front = values.packed(limits) + (bytes([shared]) if shared else b"")
    packed = front + b"".join(map(one, limits))
    if change is None:
        return packed
    then = change.limits if learned is None else (*change.limits, learned.limit)
    return packed + struct.pack("<Q", change.at_us) + b"".join(map(one, then))


def _packed_one(limit: Limit, *, subject: Subject, learned: Learned | None) -> bytes:
    share = sharing.packed(limit, subject)
    flags = _SHADOW * limit.shadow + _ADAPTIVE * limit.adaptive
    if share:
        flags += _SHARED + _POOL_IN_COUNT * pool_in_count(limit)
    if learned is not None and limit is learned.limit:
        flags += _LEARNED
    lease_us = limit.lease_us
    if limit.reserve_us and not limit.shadow:
        flags, lease_us = flags + _RESERVABLE, limit.reserve_us
    rules = rules_of(limit.algorithm)
    burst = limit.burst if "burst" in rules.fields else 0
    return _LIMIT.pack(rules.letter.encode(), limit.quota, limit.window_us, burst, lease_us, flags) + share
