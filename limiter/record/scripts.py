"""The record's own Lua scripts and the client they run on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import redis

Client = redis.Redis | redis.RedisCluster

_LUA = Path(__file__).parent / "lua"


class Script:
    """A Lua file, sent with its source: these run a few times a second at most."""

    def __init__(self, name: str) -> None:
        self._source = (_LUA / f"{name}.lua").read_text()

    def __call__(self, client: Client, keys: tuple[str, ...], *arguments: str | int | bytes) -> Any:
        told = (each if isinstance(each, bytes) else str(each) for each in arguments)
        return client.eval(self._source, len(keys), *keys, *told)
