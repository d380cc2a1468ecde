"""Reads the fields of a control request one by one; every mistake is named with the remedy."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


class ControlError(ValueError):
    """A control request that cannot be done: which field is wrong, and what would be right."""

    def __init__(self, field: str, *, problem: str, remedy: str) -> None:
        super().__init__(f"{field}: {problem} {remedy}")
        self.field = field
        self.problem = problem
        self.remedy = remedy


class Fields:
    """The fields of one JSON object. Read each with its type, then call :meth:`done` to refuse unknown ones."""

    def __init__(self, values: object) -> None:
        if not isinstance(values, Mapping):
            raise ControlError("body", problem="It is not a JSON object.", remedy='Send an object such as {"ms": 200}.')
        self._values: dict[str, Any] = dict(values)
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def raw(self, name: str) -> Any:
        """The value as it was sent; None when it was not."""
        self._read.add(name)
        return self._values.get(name)

    def text(self, name: str, *, default: str | None = None, choices: Collection[str] = ()) -> str:
        """A string that is not empty; one of ``choices`` when they are given."""
        value = self.raw(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or (not value and default != ""):
            raise self._wrong(name, value, remedy=f"Send {_one_of(choices) or 'a string'}.")
        if choices and value not in choices:
            raise self._wrong(name, value, remedy=f"Send {_one_of(choices)}.")
        return value

    def maybe_text(self, name: str, *, choices: Collection[str] = ()) -> str | None:
        """A string, or None when the field was not sent."""
        if name in self:
            return self.text(name, choices=choices)
        self._read.add(name)
        return None

    def number(self, name: str, *, low: float, high: float, default: float | None = None) -> float:
        """A number from ``low`` to ``high``."""
        value = self.raw(name)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self._wrong(name, value, remedy=f"Send a number from {low:g} to {high:g}.")
        return float(value)

    def whole(self, name: str, *, low: int, high: int, default: int | None = None) -> int:
        """A whole number from ``low`` to ``high``."""
        value = self.raw(name)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._wrong(name, value, remedy=f"Send a whole number from {low} to {high}.")
        return value

    def maybe_number(self, name: str, *, low: float, high: float) -> float | None:
        """A number, or None when the field was not sent."""
        if name in self:
            return self.number(name, low=low, high=high)
        self._read.add(name)
        return None

    def maybe_whole(self, name: str, *, low: int, high: int) -> int | None:
        """A whole number, or None when the field was not sent."""
        if name in self:
            return self.whole(name, low=low, high=high)
        self._read.add(name)
        return None

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._wrong(name, value, remedy="Send true or false.")
        return value

    def headers(self, name: str) -> dict[str, str]:
        """An object of header names and values; values must be strings without line breaks."""
        value = self.raw(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping) or not all(_is_header(k, v) for k, v in value.items()):
            raise self._wrong(name, value, remedy='Send an object of strings such as {"Retry-After": "2"}.')
        return dict(value)

    def done(self) -> None:
        """Refuse what nobody read: a misspelt field must not be ignored in silence."""
        unknown = sorted(set(self._values) - self._read)
        if unknown:
            raise ControlError(
                unknown[0], problem="There is no such field here.", remedy=f"Known: {', '.join(sorted(self._read))}."
            )

    def _wrong(self, name: str, value: object, *, remedy: str) -> ControlError:
        problem = "It is missing." if value is None else f"{value!r:.60} does not fit."
        return ControlError(name, problem=problem, remedy=remedy)


def _one_of(choices: Collection[str]) -> str:
    return f"one of {', '.join(choices)}" if choices else ""


def _is_header(name: object, value: object) -> bool:
    if not isinstance(name, str) or not isinstance(value, str) or not name:
        return False
    return not any(c in name + value for c in "\r\n\0")
