"""The head of a response: the headers an application may set, and the server's own.

Everything here either makes a well-formed head or raises before a byte of it has gone out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

_OURS = frozenset(
    {
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "proxy-connection",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Fields that belong to the server: the framing of a response, and its date."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_PLAIN = bytes(byte for byte in range(256) if byte == 0x09 or (byte >= 0x20 and byte != 0x7F))
"""The bytes that may stand in a field's line."""
_MAX_PREFIXES = 512


class InvalidResponse(ValueError):
    """What an application answered cannot be sent as HTTP."""


class FieldLines(NamedTuple):
    """The fields as they go out, each ``\\r\\nname: value``, and what those said that belong to the server."""

    lines: bytes
    length: int | None = None
    """The Content-Length that was stated."""
    close: bool = False
    """``Connection: close`` was asked for."""


class _Ours(Exception):
    """A field of the server's own is among those of the application."""


class _Prefixes(dict[str, str]):
    """How the line of a field begins, by its name as applications write it: checked once."""

    def __missing__(self, name: str) -> str:
        lower = name.lower()
        if lower in _OURS:
            raise _Ours
        if not _TOKEN.fullmatch(lower):
            raise InvalidResponse(f"{name!r} is no name of a header")
        prefix = f"\r\n{lower}: "
        if len(self) < _MAX_PREFIXES:
            self[name] = prefix
        return prefix


_prefixes = _Prefixes()


def field_lines(fields: Sequence[tuple[str, str]]) -> FieldLines:
    """The lines of these fields; raises InvalidResponse."""
    try:
        text = "".join([_prefixes[name] + value for name, value in fields])
    except _Ours:
        return _without_ours(fields)
    lines = text.encode("latin1")
    if lines.translate(None, _PLAIN) != b"\r\n" * len(fields):
        raise InvalidResponse("a line break or another control character in a header")
    return FieldLines(lines)


def _without_ours(fields: Sequence[tuple[str, str]]) -> FieldLines:
    lengths: set[str] = set()
    close = False
    for name, value in fields:
        if name.lower() == "content-length":
            lengths.add(value)
        elif name.lower() == "connection":
            close = close or "close" in [option.strip().lower() for option in value.split(",")]
    if len(lengths) > 1 or not all(length.isascii() and length.isdecimal() for length in lengths):
        raise InvalidResponse(f"{sorted(lengths)} is no Content-Length")
    rest = field_lines([(name, value) for name, value in fields if name.lower() not in _OURS])
    return FieldLines(rest.lines, int(lengths.pop()) if lengths else None, close)


def status_line(status: int) -> bytes:
    """The first line; raises InvalidResponse for a status that is not final."""
    line = _LINES.get(status)
    if line is None:
        raise InvalidResponse(f"{status!r} is no status of a response")
    return line


def common(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The fields of every response: uvicorn renews the date once a second."""
    return _common(tuple(fields))


@lru_cache(4)
def _common(fields: tuple[tuple[bytes, bytes], ...]) -> bytes:
    return b"".join([b"\r\n%b: %b" % field for field in fields])


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


_LINES = {status: f"HTTP/1.1 {status} {_phrase(status)}".encode() for status in range(200, 600)}
