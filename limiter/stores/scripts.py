"""Lua scripts, read from the folder ``lua`` beside the module that runs them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any


class Script:
    """A Lua file: its source and digest. ``beside``: the ``__file__`` of the module that runs it.

    ``before``, ``after``: Lua that stands in front of the file's and behind it.
    """

    def __init__(self, beside: str, name: str, *, before: bytes = b"", after: bytes = b"") -> None:
        self.name = name
        self.source = before + (Path(beside).parent / "lua" / f"{name}.lua").read_bytes() + after
        self.digest = hashlib.sha1(self.source, usedforsecurity=False).hexdigest().encode()

    def __call__(self, client: Any, keys: tuple[str, ...], *arguments: str | int | bytes) -> Any:
        """Run on a client or pipeline of redis-py, sent with its source: for what runs a few times a second at most."""
        data = (each if isinstance(each, bytes) else str(each) for each in arguments)
        return client.eval(self.source, len(keys), *keys, *data)
