"""What all workers share: entries in the cache, each with the change it is known to include."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import redis
from django.core.cache import BaseCache, cache
from django_redis.exceptions import ConnectionInterrupted

from limiter.core.versioned import Form, Unreadable
from quota_platform.base.changes import Touch

TTL_SECONDS = 600
_SHAPE = "2"
"""Raise it when the data of an entry changes its meaning, so that versions running side by side do not share."""
_REST_SECONDS = 5.0

log = logging.getLogger(__name__)


class CachedValue(NamedTuple):
    """``data`` as it stood after change ``seq``, or later."""

    seq: int
    data: Any


FORM = Form("cached entry", {1: lambda payload: CachedValue(int(payload["seq"]), payload["data"])})


class SecondLevel:
    """Entries by name in Django's cache. Never raises: an unavailable cache counts as an empty one.

    After a failure it is left alone for a few seconds, lest every load waits for a timeout.
    """

    def __init__(self, store: BaseCache = cache, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._resting_until = 0.0

    def get(self, names: Iterable[str]) -> dict[str, CachedValue]:
        """Those of the entries that are there and are understood."""
        keys = {_key(name): name for name in names}
        found: dict[str, Any] = self._ask(lambda: self._store.get_many(list(keys))) or {}
        stored = ((keys[key], _stored(value)) for key, value in found.items())
        return {name: entry for name, entry in stored if entry is not None}

    def put(self, entries: Mapping[str, CachedValue]) -> None:
        """Share these entries for a while."""
        if entries:
            data = {_key(name): FORM.named({"seq": each.seq, "data": each.data}) for name, each in entries.items()}
            self._ask(lambda: self._store.set_many(data, timeout=TTL_SECONDS))

    def keep(self, name: str, data: Any) -> None:
        """Share this for good."""
        self._ask(lambda: self._store.set(_key(name), data, timeout=None))

    def kept(self, name: str) -> Any:
        """The entry shared for ever under this name, or None."""
        return self._ask(lambda: self._store.get(_key(name)))

    def _ask(self, call: Callable[[], Any]) -> Any:
        if self._clock() < self._resting_until:
            return None
        try:
            return call()
        except (ConnectionInterrupted, redis.RedisError, OSError) as error:
            self._resting_until = self._clock() + _REST_SECONDS
            log.warning("The shared cache is unavailable, tenants and policies come from the database: %s", error)
            return None


def _stored(payload: Any) -> CachedValue | None:
    try:
        return FORM.take(payload)
    except Unreadable:
        return None


def _key(name: str) -> str:
    return f"snapshot:{_SHAPE}:{name}"


class Touched:
    """The last change of each name that this worker has seen: an older entry must not be used.

    Written by the event loop, read by loading threads. Notes are kept for twice the life of an entry in the cache;
    beyond ``most`` of them everything older than the newest is taken for touched. ``seen``: the newest change this
    worker has seen in the database; its later reads include it. None before the first look.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, most: int = 100_000) -> None:
        self._clock = clock
        self._most = most
        self._notes: dict[Touch, tuple[int, float]] = {}
        self.floor = 0
        self.seen: int | None = None

    def saw(self, seq: int) -> None:
        self.seen = seq

    def note(self, touched: Mapping[Touch, int]) -> None:
        now = self._clock()
        for touch, change_id in touched.items():
            self._notes.pop(touch, None)
            self._notes[touch] = (change_id, now)
        while self._notes:
            oldest = next(iter(self._notes))
            if self._notes[oldest][1] > now - 2 * TTL_SECONDS:
                break
            del self._notes[oldest]
        if len(self._notes) > self._most:
            self.start_from(max(change_id for change_id, _ in self._notes.values()))

    def start_from(self, seq: int) -> None:
        """Take everything for touched by change ``seq``."""
        self.floor = seq
        self._notes.clear()

    def newest(self, touches: Iterable[Touch]) -> int:
        """The change that an entry depending on all of these must include."""
        notes = (self._notes.get(touch) for touch in touches)
        return max((note[0] for note in notes if note is not None), default=self.floor)
