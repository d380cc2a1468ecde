"""Keys of a store as JSON holds them: a string and a hash in hexadecimal digits, a list as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import redis


def stored(url: str, names: Iterable[str]) -> dict[str, Any]:
    """Raises ValueError for a key of another type, or one that is absent."""
    with redis.Redis.from_url(url) as client:
        return {name: _value(client, name) for name in names}


def matching(url: str, pattern: str) -> list[str]:
    with redis.Redis.from_url(url) as client:
        return sorted(name.decode() for name in client.keys(pattern))


def _value(client: Any, name: str) -> Any:
    match client.type(name):
        case b"string":
            return client.get(name).hex()
        case b"list":
            return [value.decode() for value in client.lrange(name, 0, -1)]
        case b"hash":
            return {field.hex(): value.hex() for field, value in sorted(client.hgetall(name).items())}
        case kind:
            raise ValueError(kind)


def put_back(stored: Mapping[str, Any], url: str) -> None:
    with redis.Redis.from_url(url) as client:
        for name, value in stored.items():
            if isinstance(value, str):
                client.set(name, bytes.fromhex(value))
            elif isinstance(value, list):
                client.rpush(name, *value)
            else:
                client.hset(name, mapping={bytes.fromhex(field): bytes.fromhex(of) for field, of in value.items()})
