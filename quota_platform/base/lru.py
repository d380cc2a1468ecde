"""A dictionary that keeps the most recently used of its entries."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Lru(Generic[K, V]):
    """At most ``capacity`` entries; the one unused for longest makes room. For one thread."""

    __slots__ = ("_capacity", "_entries")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def get(self, key: K) -> V | None:
        """The value, which counts as a use."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def peek(self, key: K) -> V | None:
        """The value, without counting as a use."""
        return self._entries.get(key)

    def put(self, key: K, value: V) -> list[V]:
        """Keep the value; return the values that it replaced or that had to make room."""
        replaced = self._entries.pop(key, None)
        self._entries[key] = value
        gone = [] if replaced is None else [replaced]
        while len(self._entries) > self._capacity:
            gone.append(self._entries.popitem(last=False)[1])
        return gone

    def replace(self, key: K, value: V) -> None:
        """Another value for a key that is there, without counting as a use."""
        self._entries[key] = value

    def drop(self, key: K) -> V | None:
        return self._entries.pop(key, None)

    def clear(self) -> None:
        self._entries.clear()

    def items(self) -> Iterator[tuple[K, V]]:
        """A copy, so that entries may be replaced while it is walked."""
        return iter(list(self._entries.items()))
