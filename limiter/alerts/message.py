"""A message as receivers read it: the stored body of a delivery, with the words of its type of event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from quota_platform.base import events, features
from quota_platform.base.events import EventType


@dataclass(frozen=True, slots=True)
class Message:
    """``uid``: its name for the receiver. ``body``: the JSON text that was stored, and that a signed hook sends.

    Sentences are English, like the record.
    """

    uid: str
    body: str
    type: EventType
    timestamp: str
    data: dict[str, Any]

    @classmethod
    def read(cls, body: str, *, uid: str) -> Message:
        content = json.loads(body)
        type_ = features.event_types().get(content["type"]) or events.unknown(content["type"])
        return cls(uid, body, type_, content["timestamp"], content["data"])

    @property
    def is_end(self) -> bool:
        return bool(self.type.ends)

    @property
    def severity(self) -> str:
        return self.type.severity_of(self.data)

    @property
    def subject(self) -> str:
        return self.type.subject_of(self.data)

    @property
    def component(self) -> str:
        """The part that it is about: a limit, or the first word of the type."""
        return str(self.data.get("limit") or self.type.name.partition(".")[0])

    @property
    def tenant_id(self) -> str:
        return self.data["tenant_id"] or ""

    @property
    def title(self) -> str:
        return self.type.title_of(self.data)

    @property
    def opens_incident(self) -> bool:
        return bool(self.type.incident)

    @property
    def incident(self) -> str:
        """The same for the start and the end of one incident; a test has one of its own."""
        known = {name: self.uid if value is None else value for name, value in self.data.items()}
        return self.type.incident.format_map(known)

    @property
    def link(self) -> str:
        return self.data["url"] or ""

    def facts(self) -> Iterator[tuple[str, str]]:
        return self.type.facts_of(self.data)
