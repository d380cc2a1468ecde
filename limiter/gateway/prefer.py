"""The ``Prefer`` header (RFC 7240), as far as the gateway supports it: ``wait``, in whole seconds."""

from __future__ import annotations

import re

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PREFERENCE = re.compile(
    rf"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:=\s*({_QUOTED}|[^\s,;\"]*))?" rf'[^,"]*(?:{_QUOTED}[^,"]*)*(?:,|$)'
)
_MAX_DIGITS = 9


def wait_seconds(value: str) -> int | None:
    """How long the caller would wait; None when it names no whole number. The first of several counts."""
    for found in _PREFERENCE.finditer(value):
        if found[1].lower() == "wait":
            given = (found[2] or "").strip('"')
            return int(given) if given.isascii() and given.isdecimal() and len(given) <= _MAX_DIGITS else None
    return None
