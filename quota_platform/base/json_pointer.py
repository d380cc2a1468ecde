"""JSON Pointers (RFC 6901): where in a payload a value stands."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from django.utils.translation import gettext as _

MAX_CHARS = 200
_ESCAPES = re.compile(r"~(?![01])")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)


class PointerWrong(ValueError):
    """A text that is no pointer to a part of a payload; the message says what to write."""


@lru_cache(maxsize=4096)
def tokens(pointer: str) -> tuple[str, ...]:
    """The names and indices on the way, unescaped; raises :class:`PointerWrong`.

    The empty pointer, the payload as a whole, is refused: everything here is about a part.
    """
    if not pointer.startswith("/"):
        raise PointerWrong(_("Write a JSON Pointer such as /contactId or /order/items: it starts with /."))
    if len(pointer) > MAX_CHARS or not pointer.isprintable():
        raise PointerWrong(_("Write at most {most} printable characters.").format(most=MAX_CHARS))
    if _ESCAPES.search(pointer):
        raise PointerWrong(_("In a JSON Pointer ~0 stands for ~ and ~1 for /; ~ alone means nothing."))
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/"))


def find(payload: Any, pointer: str) -> Any:
    """The value there; None where there is none, as for a null."""
    value = payload
    for token in tokens(pointer):
        if isinstance(value, dict):
            value = value.get(token)
        elif isinstance(value, list) and _INDEX.fullmatch(token) and int(token) < len(value):
            value = value[int(token)]
        else:
            return None
    return value
