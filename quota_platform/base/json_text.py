"""JSON as others send it: read strictly; errors name the place and the remedy."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

from django.utils.translation import gettext

from quota_platform.base.languages import number

MAX_DEPTH = 100
_HALF = re.compile("[\ud800-\udfff]")
_MAX_DIGITS = sys.int_info.default_max_str_digits
_MAX_PLACE = 200


class JsonRefused(ValueError):
    """The text cannot be accepted; the message is a sentence. ``place``: the field, "" for the text as a whole."""

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.message = message
        self.place = place


class _Wrong:
    """Stands in for a value that cannot be taken, until its place is known."""

    def __init__(self, message: str) -> None:
        self.message = message


def read(text: bytes | str, *, storable: bool = True) -> Any:
    """The value; raises :class:`JsonRefused`.

    ``storable``: also refuse what a database or a later reader could not take: NUL characters, numbers beyond a
    double, one name twice in an object.
    """
    text = _decoded(text)
    try:
        value = (_STORABLE if storable else _PLAIN).decode(text)
    except RecursionError:
        raise JsonRefused(gettext("The JSON is nested too deeply.")) from None
    except json.JSONDecodeError as error:
        what = gettext("The text is empty.") if not text.strip() else _cannot_be_read(error)
        raise JsonRefused(what) from None
    for place, message in _wrongs(value, storable=storable):
        raise JsonRefused(message, place[:_MAX_PLACE])
    return value


def _decoded(text: bytes | str) -> str:
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError:
            raise JsonRefused(gettext("The text is not UTF-8.")) from None
    if text.startswith("\ufeff"):
        raise JsonRefused(gettext("The text begins with a byte-order mark; send it without."))
    return text


def _cannot_be_read(error: json.JSONDecodeError) -> str:
    said = gettext("This is not JSON from line {line}, column {column} on.")
    return said.format(line=error.lineno, column=error.colno)


def _wrongs(value: Any, *, storable: bool) -> Iterator[tuple[str, str]]:
    """Place and fault of all that cannot be taken. Not by recursion: the text decides how deep it goes."""
    waiting: list[tuple[str, int, Any]] = [("", 0, value)]
    while waiting:
        place, depth, inner = waiting.pop()
        if (message := _fault(inner, storable=storable)) is not None:
            yield place, message
        elif depth > MAX_DEPTH and storable:
            yield place, gettext("This is nested too deeply.")
        elif isinstance(inner, dict):
            for name, member in reversed(inner.items()):
                there = f"{place}.{_shown(name)}" if place else _shown(name)
                if (message := _fault(name, storable=storable)) is not None:
                    waiting.append((there, depth, _Wrong(gettext("In the name: {message}").format(message=message))))
                waiting.append((there, depth + 1, member))
        elif isinstance(inner, list):
            waiting += [(f"{place}[{at}]", depth + 1, member) for at, member in reversed(list(enumerate(inner)))]


def _fault(value: Any, *, storable: bool) -> str | None:
    """The fault of one value by itself."""
    if isinstance(value, _Wrong):
        return value.message
    if isinstance(value, str):
        if _HALF.search(value):
            return gettext("Half of a surrogate pair is no character; send whole ones.")
        if storable and "\0" in value:
            return gettext("Leave NUL characters out.")
    if storable and isinstance(value, float) and not math.isfinite(value):
        return gettext("This number is too large.")
    return None


def _shown(name: str) -> str:
    """A member's name as part of a place: what cannot be shown is escaped."""
    return name if name.isprintable() else json.dumps(name)[1:-1]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                found[name] = _Wrong(gettext("This is given twice; send it once."))
            seen.add(name)
    return found


def _integer(digits: str) -> int | _Wrong:
    if len(digits) > _MAX_DIGITS:
        said = gettext("This number is too long; it may have at most {most} digits.")
        return _Wrong(said.format(most=number(_MAX_DIGITS)))
    return int(digits)


def _constant(name: str) -> _Wrong:
    return _Wrong(gettext("{name} is not a JSON number.").format(name=name))


def _decoder(pairs: Callable[[list[tuple[str, Any]]], Any] | None) -> json.JSONDecoder:
    return json.JSONDecoder(parse_int=_integer, parse_constant=_constant, object_pairs_hook=pairs)


_STORABLE, _PLAIN = _decoder(_once), _decoder(None)
