"""A message as receivers read it: the stored body of a delivery, and the sentences that its kinds of contact share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Message:
    """``uid``: its name for the receiver. ``body``: the JSON text that was stored, and that a signed hook sends.

    Sentences are English, like the record.
    """

    uid: str
    body: str
    type: str
    timestamp: str
    data: dict[str, Any]

    @classmethod
    def read(cls, body: str, *, uid: str) -> Message:
        content = json.loads(body)
        return cls(uid, body, content["type"], content["timestamp"], content["data"])

    @property
    def is_end(self) -> bool:
        return self.type.endswith(".ended")

    @property
    def is_test(self) -> bool:
        return self.type.endswith(".test")

    @property
    def threshold(self) -> int:
        """In percent."""
        return int(self.data["threshold_percent"])

    @property
    def severity(self) -> str:
        """``critical`` from 100 % on, ``error`` from 95 %, else ``warning``; ``info`` for tests and shadow limits."""
        if self.is_test or self.data["shadow"]:
            return "info"
        return "critical" if self.threshold >= 100 else "error" if self.threshold >= 95 else "warning"

    @property
    def subject(self) -> str:
        """Whose calls: the tenant, and the action unless the limit counts all together."""
        return "/".join(filter(None, (self.data["tenant_id"], self.data["action_id"])))

    @property
    def title(self) -> str:
        limit = f"limit {self.data['limit']} of {self.subject}"
        if self.is_end:
            return f"Over: {limit} is below {self.threshold} % again"
        first = "Test: " if self.is_test else "Shadow: " if self.data["shadow"] else ""
        return f"{first}{self.threshold} % of {limit} is used"

    @property
    def incident(self) -> str:
        """The same for the start and the end of one alert. A test has one of its own."""
        return f"quota-alert-{self.data['alert_id'] or self.uid}"

    @property
    def link(self) -> str:
        return self.data["url"] or ""

    def facts(self) -> Iterator[tuple[str, str]]:
        """Names and values, in the order of their weight."""
        yield "Used", f"{self.data['used']:,} of {self.data['effective_limit']:,}"
        if self.data["full_in_s"] is not None and not self.is_end:
            yield "Full in", f"{round(self.data['full_in_s'])} s"
        yield "Tenant", self.data["tenant_id"]
        yield "Action", self.data["action_id"] or "all actions together"
        yield "Policy", f"{self.data['policy']} (version {self.data['policy_version']})"
        yield "Since", self.data["started_at"]
        if self.data["ended_at"]:
            yield "Until", self.data["ended_at"]
