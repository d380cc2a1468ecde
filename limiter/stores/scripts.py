"""Lua scripts, read from the folder ``lua`` beside the module that runs them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any


class Script:
    """A Lua file: its source and digest. ``beside``: the ``__file__`` of the module that runs it.

    ``before``, ``after``: Lua that stands in front of the file's and behind it. ``inline``: files that stand where the
    function of their name is called, without arguments: as a block where the call is a line, else as a function.
    """

    def __init__(
        self, beside: str, name: str, *, before: bytes = b"", after: bytes = b"", inline: Sequence[str] = ()
    ) -> None:
        self.name = name
        folder = Path(beside).parent / "lua"
        self.source = before + (folder / f"{name}.lua").read_bytes() + after
        for each in inline:
            source = (folder / f"{each}.lua").read_bytes()
            self.source = re.sub(
                rb"(?m)^( *)%b\(\)$|\b%b\(\)" % (each.encode(), each.encode()), partial(_in_place, source), self.source
            )
        self.digest = hashlib.sha1(self.source, usedforsecurity=False).hexdigest().encode()

    def __call__(self, client: Any, keys: tuple[str, ...], *arguments: str | int | bytes) -> Any:
        """Run on a client or pipeline of redis-py, sent with its source: for what runs a few times a second at most."""
        data = (each if isinstance(each, bytes) else str(each) for each in arguments)
        return client.eval(self.source, len(keys), *keys, *data)

    def as_local(self, name: str) -> bytes:
        """Lua that stands in front of other files, which find there under this name the value that this one returns."""
        return b"local %s = (function()\n%send)()\n" % (name.encode(), self.source)


def _in_place(source: bytes, call: re.Match[bytes]) -> bytes:
    return b"do\n%bend" % source if call[1] is not None else b"(function()\n%bend)()" % source
