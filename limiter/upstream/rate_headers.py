"""What an upstream's responses give of its own limit: how long there is nothing left of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from tenants.presets import RateHeaders

_MAX_CHARS = 1024
_MEMBER = re.compile(
    r'\s*"(?:[^"\\]|\\.)*"((?:\s*;\s*[a-z*][a-z0-9_.*-]*(?:=(?:"(?:[^"\\]|\\.)*"|[^",;]*))?)*)\s*(?:,|\Z)'
)
_PARAMETER = re.compile(r';\s*([a-z*][a-z0-9_.*-]*)=("(?:[^"\\]|\\.)*"|[^",;]*)')
_EPOCH_S, _EPOCH_MS = 1_000_000_000, 1_000_000_000_000
"""From these on a number is a time since the epoch: nobody waits for thirty years."""


def spent_for_s(received: Sequence[tuple[str, str]], named: Iterable[RateHeaders], *, wall: float) -> float | None:
    """Seconds until something is left again; None while something is, and where that cannot be read.

    ``wall``: epoch seconds. Of several limits that are spent the longest counts.
    """
    values = _single(received)
    waits = [wait for headers in named for wait in _waits(headers, values, wall=wall) if wait > 0]
    return max(waits, default=None)


def _single(received: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The headers by their names in lower case; one that comes twice is a list (RFC 9110 5.3)."""
    values: dict[str, str] = {}
    for name, value in received:
        lower = name.lower()
        if "ratelimit" in lower:
            values[lower] = f"{values[lower]}, {value}" if lower in values else value
    return values


def _waits(headers: RateHeaders, values: dict[str, str], *, wall: float) -> Iterator[float]:
    if headers.structured:
        yield from _of_structured(values.get(headers.structured, "")[:_MAX_CHARS])
        return
    reset = _number(values.get(headers.reset))
    left = _number(values.get(headers.remaining)) if headers.remaining else _unused(headers, values)
    if reset is not None and left == 0:
        yield reset / 1000 - wall if reset >= _EPOCH_MS else reset - wall if reset >= _EPOCH_S else reset


def _unused(headers: RateHeaders, values: dict[str, str]) -> float | None:
    used, limit = _number(values.get(headers.used)), _number(values.get(headers.limit))
    return None if used is None or not limit else max(0.0, limit - used)


def _of_structured(text: str) -> Iterator[float]:
    """Members such as ``"minute";r=0;t=30``; nothing of a text that is anything else."""
    at, waits = 0, []
    while at < len(text):
        member = _MEMBER.match(text, at)
        if member is None:
            return
        given = dict(_PARAMETER.findall(member[1]))
        if _number(given.get("r")) == 0 and (wait := _number(given.get("t"))) is not None:
            waits.append(wait)
        at = member.end()
    yield from waits


def _number(text: str | None) -> float | None:
    text = (text or "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None
