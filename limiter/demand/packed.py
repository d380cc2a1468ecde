"""The packed form of a tenant's demand in one row of the database; docs/demand.md describes its bytes.

A version stands first. A released version never changes; a reader skips the sections and columns that it does not know.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from limiter.core import versioned
from limiter.core.versioned import Newer, Unreadable
from limiter.demand.points import Calls, Demand, Level, Name

VERSION = 1
KIND = "block of demand"
_PLAIN, _DEFLATED = 0, 1
_CALLS, _LIMITS = 1, 2
_SECTION = struct.Struct("<BI")
_WIDTHS = {1: "B", 2: "H", 4: "I", 8: "Q"}
_TIMES = "H"
T = TypeVar("T", Calls, Level)
R = TypeVar("R")
Units = tuple[str, list[int], Sequence[int]]
"""An action ID, seconds, and the units of the calls allowed in each."""
Columns = list[Sequence[int] | None]
Joins = Sequence[Callable[[Sequence[int]], int]]
_SUMS: Joins = (sum,) * len(Calls._fields)
_PEAKS: Joins = (max, max, max, sum)
"""How the columns of several seconds become one: as :meth:`Calls.plus` and :meth:`Level.plus` join them."""


def pack(demand: Demand, *, start: int, step_s: int) -> bytes:
    """The demand of a block that begins at second ``start``, in steps of ``step_s``; at most 65,536 of them."""
    body = _section(_CALLS, demand.calls, _columns_of_calls, start, step_s)
    body += _section(_LIMITS, demand.limits, _columns_of_levels, start, step_s)
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    deflated = packer.compress(body) + packer.flush()
    if len(deflated) < len(body):
        return bytes((VERSION, _DEFLATED)) + deflated
    return bytes((VERSION, _PLAIN)) + body


def unpack(data: bytes, *, start: int, step_s: int, every_s: int = 1) -> Demand:
    """What :func:`pack` packed; raises :class:`~limiter.core.versioned.Unreadable`.

    ``every_s``: by spans of so many seconds, as :meth:`Demand.every` has it, without making each second first.
    """
    return _opened(data, lambda body: _read(body, start, step_s, every_s))


def units(data: bytes, *, start: int, step_s: int) -> list[Units]:
    """The units of the allowed calls of each action and key, in a fraction of the time that :func:`unpack` takes."""
    return _opened(data, lambda body: _read_units(body, start, step_s))


def _opened(data: bytes, read: Callable[[bytes], R]) -> R:
    """The result of reading the content of a row; raises Unreadable."""
    try:
        version, codec = data[0], data[1]
        if version > VERSION:
            raise Newer(f"{KIND} of version {version}: this release reads {VERSION} at most")
        if codec not in (_PLAIN, _DEFLATED):
            raise ValueError(f"{codec} is no way to pack it")
        body = zlib.decompress(data[2:], -15) if codec == _DEFLATED else data[2:]
        return read(body)
    except Unreadable as error:
        raise versioned.refused(KIND, error) from None
    except (ArithmeticError, LookupError, TypeError, ValueError, struct.error, zlib.error) as error:
        raise versioned.refused(KIND, Unreadable(f"{KIND}: {error}")) from error


def _section(
    kind: int, of: Mapping[Name, Mapping[int, Any]], columns: Callable[[Any], Columns], start: int, step_s: int
) -> bytes:
    content = b"".join(_series(name, points, columns, start, step_s) for name, points in sorted(of.items()))
    return _SECTION.pack(kind, len(content)) + content


def _series(name: Name, points: Mapping[int, Any], columns: Callable[[Any], Columns], start: int, step_s: int) -> bytes:
    seconds = sorted(points)
    times = array(_TIMES, [(second - start) // step_s for second in seconds])
    parts = [*(_text(part) for part in name), struct.pack("<H", len(seconds)), _little(times)]
    rows = columns(list(zip(*(points[second] for second in seconds), strict=True)))
    kept = [(number, values) for number, values in enumerate(rows) if values is not None and any(values)]
    parts.append(bytes((len(kept),)))
    for number, values in kept:
        most = max(values)
        width = next(width for width in _WIDTHS if most < 1 << 8 * width)
        parts += [bytes((number, width)), _little(array(_WIDTHS[width], values))]
    return b"".join(parts)


def _columns_of_calls(columns: Sequence[Sequence[int]]) -> Columns:
    """Units are left out where each call cost one."""
    kept: Columns = list(columns)
    allowed, refused, held_back = columns[:3]
    if columns[6] == allowed:
        kept[6] = None
    if list(columns[7]) == [one + other for one, other in zip(refused, held_back, strict=True)]:
        kept[7] = None
    return kept


def _columns_of_levels(columns: Sequence[Sequence[int]]) -> Columns:
    """The quota is left out where nothing cuts it."""
    kept: Columns = list(columns)
    if columns[2] == columns[1]:
        kept[2] = None
    return kept


def _read(body: bytes, start: int, step_s: int, every_s: int) -> Demand:
    demand = Demand()
    for kind, content in _sections(body):
        if kind == _CALLS:
            for name, seconds, columns in _all_series(content, start, step_s):
                demand.calls[name] = _points(seconds, _calls(columns, len(seconds)), Calls, _SUMS, every_s)
        elif kind == _LIMITS:
            for name, seconds, columns in _all_series(content, start, step_s):
                demand.limits[name] = _points(seconds, _levels(columns, len(seconds)), Level, _PEAKS, every_s)
    return demand


def _read_units(body: bytes, start: int, step_s: int) -> list[Units]:
    return [
        (action_id, seconds, columns.get(6, columns.get(0, (0,) * len(seconds))))
        for kind, content in _sections(body)
        if kind == _CALLS
        for (action_id, _), seconds, columns in _all_series(content, start, step_s)
    ]


def _sections(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(body):
        kind, length = _SECTION.unpack_from(body, at)
        at += _SECTION.size
        content = body[at : at + length]
        if len(content) != length:
            raise ValueError("a section is cut off")
        yield kind, content
        at += length


def _all_series(content: bytes, start: int, step_s: int) -> Iterator[tuple[Name, list[int], dict[int, Sequence[int]]]]:
    at = 0
    while at < len(content):
        first, at = _read_text(content, at)
        second, at = _read_text(content, at)
        (points,) = struct.unpack_from("<H", content, at)
        times, at = _read_array(content, at + 2, _TIMES, points)
        columns: dict[int, Sequence[int]] = {}
        count, at = content[at], at + 1
        for _ in range(count):
            number, width = content[at], content[at + 1]
            columns[number], at = _read_array(content, at + 2, _WIDTHS[width], points)
        yield (first, second), [start + step_s * time for time in times], columns


def _points(
    seconds: list[int], columns: list[Sequence[int]], kind: type[T], joins: Joins, every_s: int
) -> dict[int, T]:
    """The points by second, or by spans of ``every_s`` seconds, each under its first one."""
    if every_s == 1:
        return dict(zip(seconds, map(kind, *columns), strict=True))
    found: dict[int, T] = {}
    first = 0
    while first < len(seconds):
        at = seconds[first] // every_s * every_s
        end = bisect_left(seconds, at + every_s, first)
        parts = [join(column[first:end]) for join, column in zip(joins, columns, strict=True)]
        found[at] = kind(*parts)
        first = end
    return found


def _calls(columns: Mapping[int, Sequence[int]], points: int) -> list[Sequence[int]]:
    none = (0,) * points
    found: list[Sequence[int]] = [columns.get(number, none) for number in range(len(Calls._fields))]
    if 6 not in columns:
        found[6] = found[0]
    if 7 not in columns:
        found[7] = [one + other for one, other in zip(found[1], found[2], strict=True)]
    return found


def _levels(columns: Mapping[int, Sequence[int]], points: int) -> list[Sequence[int]]:
    none = (0,) * points
    found: list[Sequence[int]] = [columns.get(number, none) for number in range(len(Level._fields))]
    if 2 not in columns:
        found[2] = found[1]
    return found


def _text(text: str) -> bytes:
    raw = text.encode()[:255]
    return bytes((len(raw),)) + raw


def _read_text(content: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + content[at]
    return content[at + 1 : end].decode("utf-8", "backslashreplace"), end


def _little(values: array[int]) -> bytes:
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values.tobytes()


def _read_array(content: bytes, at: int, letter: str, points: int) -> tuple[array[int], int]:
    values: array[int] = array(letter)
    end = at + points * values.itemsize
    values.frombytes(content[at:end])
    if len(values) != points:
        raise ValueError("a column is cut off")
    if sys.byteorder == "big":
        values.byteswap()
    return values, end
