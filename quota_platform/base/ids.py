"""Random IDs for calls and decisions. One question to the kernel serves many of them."""

from __future__ import annotations

import os

_BYTES = 12
_AT_ONCE = 256
_spare: list[str] = []


def new_id() -> str:
    """24 hexadecimal digits that nobody can guess and no other process has."""
    try:
        return _spare.pop()
    except IndexError:
        drawn = os.urandom(_BYTES * _AT_ONCE).hex()
        _spare.extend(drawn[at : at + 2 * _BYTES] for at in range(2 * _BYTES, len(drawn), 2 * _BYTES))
        return drawn[: 2 * _BYTES]


os.register_at_fork(after_in_child=_spare.clear)
