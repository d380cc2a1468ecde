"""Words of the core: amounts and lengths of time, also of values that have not been typed yet."""

from __future__ import annotations

MISSING = "…"
"""Stands for a value that has not been typed yet."""

_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def duration(seconds: int | None) -> str:
    """A length of time in the largest unit that fits exactly: ``minute``, ``90 seconds``, ``2 hours``."""
    if not seconds:
        return MISSING
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    count = seconds // size
    return unit if count == 1 else f"{count:,} {unit}s"


def with_number(seconds: int | None) -> str:
    """As :func:`duration`, with the number in front even when it is one."""
    text = duration(seconds)
    return f"1 {text}" if text in {unit for _, unit in _UNITS} else text


def counted(amount: int | None, unit: str) -> str:
    return f"{number(amount)} {unit}" if amount == 1 else f"{number(amount)} {unit}s"


def number(value: int | None) -> str:
    return MISSING if value is None else f"{value:,}"


def gettext_noop(message: str) -> str:
    """Marks a message that the page which shows it translates; the core itself knows no language."""
    return message
