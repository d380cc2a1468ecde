"""Words of the core: amounts and lengths of time, also of values that have not been typed yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MISSING = "…"
"""Stands for a value that has not been typed yet."""


@dataclass(slots=True)
class Speech:
    """How texts become the reader's. The core knows no language; the platform hands Django's in."""

    gettext: Callable[[str], str] = lambda text: text
    ngettext: Callable[[str, str, int], str] = lambda one, many, count: one if count == 1 else many
    number: Callable[[float], str] = lambda value: f"{value:,g}" if isinstance(value, float) else f"{value:,}"


SPEECH = Speech()


def gettext(text: str) -> str:
    return SPEECH.gettext(text)


def ngettext(one: str, many: str, count: int) -> str:
    return SPEECH.ngettext(one, many, count)


def duration(seconds: int | None) -> str:
    """A length of time in the largest unit that fits exactly: ``minute``, ``90 seconds``, ``2 hours``."""
    one = {86_400: gettext("day"), 3600: gettext("hour"), 60: gettext("minute"), 1: gettext("second")}
    return one[seconds] if seconds in one else with_number(seconds)


def with_number(seconds: int | None) -> str:
    """As :func:`duration`, with the number in front even when it is one."""
    if not seconds:
        return MISSING
    size = next(size for size in (86_400, 3600, 60, 1) if seconds % size == 0)
    count = seconds // size
    said = {
        86_400: ngettext("{count} day", "{count} days", count),
        3600: ngettext("{count} hour", "{count} hours", count),
        60: ngettext("{count} minute", "{count} minutes", count),
        1: ngettext("{count} second", "{count} seconds", count),
    }[size]
    return said.format(count=number(count))


def units(amount: int | None) -> str:
    return ngettext("{count} unit", "{count} units", amount or 0).format(count=number(amount))


def calls(amount: int | None) -> str:
    return ngettext("{count} call", "{count} calls", amount or 0).format(count=number(amount))


def number(value: float | None) -> str:
    return MISSING if value is None else SPEECH.number(value)


def gettext_noop(message: str) -> str:
    """Marks a message that the page which shows it translates; the core itself knows no language."""
    return message
