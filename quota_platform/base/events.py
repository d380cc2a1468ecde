"""Types of events that people may be notified of: each is one declaration in the room in which it happens.

A feature lists its types; contact points, their forms and their messages are loops over these. Texts are English, like
the record, but for labels, which stand in forms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from django.db.models import QuerySet
from django.utils.functional import Promise

MAX_NAME = 32
SEVERITIES = ("info", "warning", "error", "critical")
"""From the least on."""
TEST = "alert.test"
"""Sent at the press of a button, to any contact point."""

Data = Mapping[str, Any]
"""What a message says about one event; ``tenant_id`` and ``url`` are always in it, null where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One event that happened. ``key`` tells it from all others of its type, however often it is found.

    ``tenants``: those that it concerns; contact points of other tenants do not get it. ``data`` is called only for an
    event that is new; it needs neither ``tenant_id``, unless the event is one tenant's own, nor ``url``.
    """

    key: str
    at: datetime
    data: Callable[[], Data]
    tenants: QuerySet[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A state that lasts at this moment. ``at_once``: it does not pass by itself, so there is nothing to wait for."""

    key: str
    data: Data
    tenants: QuerySet[Any]
    at_once: bool = False


Find: TypeAlias = Callable[[datetime, datetime], Iterable[Occurrence]]
"""What happened from the first moment to the second. It is asked about the same time more than once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasting:
    """Where an event has a start and an end. ``now``: the conditions of this moment; None when nobody can tell.

    It starts after ``after``, and ends when it was not so for ``quiet``: what comes and goes is one event.
    """

    now: Callable[[], Iterable[Condition] | None]
    after: timedelta = timedelta(seconds=30)
    quiet: timedelta = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """``title``, ``subject`` and ``incident`` are filled with the values of an event, ``facts`` name values by their
    label.

    ``severity``: critical, error, warning or info. ``incident`` names the incident that an event opens at an on-call
    service, the same for the type that it ``ends``; empty: the event is news and opens none. ``example``: the values
    of one, for the documentation and the tests. ``page``: the path of its page, filled as the title is. ``find`` or
    ``lasting``: where such events are found; neither, if its room puts the messages itself.
    """

    name: str
    label: Promise | str
    example: Data
    title: str = ""
    subject: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    severity: str = "info"
    incident: str = ""
    ends: str = ""
    page: str = "/dashboard/"
    find: Find | None = None
    lasting: Lasting | None = None

    @property
    def may_be_chosen(self) -> bool:
        """Whether a contact point chooses it: an end goes where its start went."""
        return not self.ends and self.name != TEST

    def title_of(self, data: Data) -> str:
        return self.title.format_map(data)

    def subject_of(self, data: Data) -> str:
        """Whose event it is: never empty, since services ask for one."""
        return self.subject.format_map(data) or data["tenant_id"] or "Quota platform"

    def severity_of(self, data: Data) -> str:
        return self.severity

    def is_at_least(self, severity: str, data: Data) -> bool:
        return SEVERITIES.index(self.severity_of(data)) >= SEVERITIES.index(severity)

    def facts_of(self, data: Data) -> Iterator[tuple[str, str]]:
        """Names and values, in the order of their weight; without those that are null or empty."""
        for label, name in self.facts.items():
            if data.get(name) not in (None, "", []):
                yield label, written(data[name])


def unknown(name: str) -> EventType:
    """A type that only another release knows: its messages show the values as they are."""
    return _Unknown(name=name, label=name, example={})


class _Unknown(EventType):
    __slots__ = ()

    def title_of(self, data: Data) -> str:
        return self.name

    def facts_of(self, data: Data) -> Iterator[tuple[str, str]]:
        for name, value in data.items():
            if value is not None and not isinstance(value, (list, dict)):
                yield name, written(value)


def written(value: Any) -> str:
    """A value as a message has it."""
    if isinstance(value, list):
        return ", ".join(map(written, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
