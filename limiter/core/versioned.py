"""Values that processes of two releases share, in the store or over the wire: one way to write and to read them.

While a release is rolled out the one before it runs beside, and each reads what the other wrote. So a reader

- takes its own fields and ignores the others,
- takes a default where one is missing or is of another type,
- reads each version that an earlier release wrote, and
- of a newer version takes its own fields where that is safe; elsewhere it refuses, logs and counts.

A value names its version from the second on; one that names none is of version 1, as the first release wrote it. A
release writes no version that the release before it cannot read. docs/compatibility.md lists the values.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")
FIELD = "v"
_MARK = "="
_SENSELESS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)

unreadable: Counter[str] = Counter()
"""How many values of each kind this process could not read, since it started."""
log = logging.getLogger(__name__)


class Unreadable(ValueError):
    """A value that no reader here understands."""


class Newer(Unreadable):
    """A value of a version that only a newer release reads."""


class Form(Generic[T]):
    """How one kind of value is written and read.

    ``readers``: version -> reader of its content, which may raise anything for content that makes no sense.
    ``writes``: the version that is written, the newest when nothing is said; a release that adds a reader goes on
    writing what the one before reads. ``lenient``: a newer version is read like the newest one known here.
    """

    def __init__(
        self,
        kind: str,
        readers: Mapping[int, Callable[[Any], T]],
        *,
        writes: int | None = None,
        lenient: bool = False,
        field: str = FIELD,
    ) -> None:
        self.kind = kind
        self.reads = max(readers)
        self.writes = writes or self.reads
        self._readers = readers
        self._lenient = lenient
        self._field = field

    def dump(self, content: Mapping[str, Any]) -> str:
        """An object as JSON, with its version unless that is the first."""
        return json.dumps(self.named(content))

    def named(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """The object with its version unless that is the first."""
        return {**content, self._field: self.writes} if self.writes > 1 else dict(content)

    def marked(self, text: str) -> str:
        """A text with its version before it, unless that is the first; such a text does not start with the mark."""
        return text if self.writes == 1 else f"{_MARK}{self.writes}{_MARK}{text}"

    def load(self, text: str | bytes) -> T:
        """What :meth:`dump` wrote, of whichever release; raises :class:`Unreadable`."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            raise refused(self.kind, Unreadable(f"{self.kind}: no JSON")) from None
        return self.take(data)

    def take(self, data: Any) -> T:
        """The same for an object that was JSON, or has named fields otherwise."""
        if not isinstance(data, Mapping):
            raise refused(self.kind, Unreadable(f"{self.kind}: an object was expected"))
        version = data.get(self._field, 1)
        return self._read(_number(version) if isinstance(version, str) else version, data)

    def text(self, text: str) -> T:
        """What :meth:`marked` made of a text."""
        if not text.startswith(_MARK):
            return self._read(1, text)
        number, _, rest = text[1:].partition(_MARK)
        return self._read(_number(number), rest)

    def load_or_none(self, text: str | bytes | None) -> T | None:
        """:meth:`load`, and None for no value and for one that is not understood."""
        if text is None:
            return None
        try:
            return self.load(text)
        except Unreadable:
            return None

    def text_or_none(self, raw: str | bytes | None) -> T | None:
        """:meth:`text` of the store's value, and None for no value and for one that is not understood."""
        if raw is None:
            return None
        try:
            return self.text(raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else raw)
        except Unreadable:
            return None

    def _read(self, version: object, content: Any) -> T:
        if not isinstance(version, int) or version < 1:
            raise refused(self.kind, Unreadable(f"{self.kind}: {version!r:.40} is no version"))
        if version > self.reads and not self._lenient:
            raise refused(
                self.kind, Newer(f"{self.kind} of version {version}: this release reads {self.reads} at most")
            )
        try:
            return self._readers[min(version, self.reads)](content)
        except _SENSELESS as error:
            raise refused(self.kind, Unreadable(f"{self.kind}: {error}")) from error


def _number(text: str) -> int | str:
    return int(text) if text.isdecimal() and len(text) < 10 else text


def refused(kind: str, error: Unreadable) -> Unreadable:
    """Count it and return it; say the first of a kind, since another release may write one every second."""
    unreadable[kind] += 1
    if unreadable[kind] == 1:
        log.warning("A value that another process shares is not understood and left alone: %s", error)
    return error


def filled(data: Any, example: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of ``example`` with what ``data`` says of them, as far as it is of the example's type.

    An object in the example is filled the same way; an empty one, and None, stand for anything.
    """
    if not isinstance(data, Mapping):
        return dict(example)
    return {name: _like(data[name], default) if name in data else default for name, default in example.items()}


def _like(value: Any, default: Any) -> Any:
    if isinstance(default, dict) and default:
        return filled(value, default)
    if default is None:
        return value
    if isinstance(default, float):
        return value if isinstance(value, int | float) and not isinstance(value, bool) else default
    return (
        value if isinstance(value, type(default)) and isinstance(value, bool) == isinstance(default, bool) else default
    )


def build(cls: type[T], data: Mapping[str, Any], *, whole: bool = True) -> T:
    """A dataclass from its own fields among those given.

    ``whole``: a field that is missing is a LookupError even where the class has a default, for values that have to be
    those of a row and not what an earlier release made of it.
    """
    names = _names(cast(Any, cls))
    if data.keys() != names:
        data = {name: data[name] for name in names if whole or name in data}
    return cls(**data)


@lru_cache(maxsize=64)
def _names(cls: type[Any]) -> frozenset[str]:
    return frozenset(field.name for field in dataclasses.fields(cls))
