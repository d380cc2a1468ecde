"""The events of alerts: a start, an end, and the test of a contact point."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from quota_platform.base import features
from quota_platform.base.events import TEST, Data, EventType

STARTED: Final = "alert.started"
ENDED: Final = "alert.ended"

__all__ = ["ENDED", "STARTED", "TEST", "TYPES", "choosable"]


class AlertEvent(EventType):
    """How severe it is, and what its title says, follows from the threshold."""

    __slots__ = ()

    def severity_of(self, data: Data) -> str:
        """``critical`` from 100 % on, ``error`` from 95 %, else ``warning``; ``info`` for tests and shadow limits."""
        if self.name == TEST or data["shadow"]:
            return "info"
        threshold = data["threshold_percent"]
        return "critical" if threshold >= 100 else "error" if threshold >= 95 else "warning"

    def subject_of(self, data: Data) -> str:
        """Whose calls: the tenant, and the action unless the limit counts all together."""
        return "/".join(filter(None, (data["tenant_id"], data["action_id"])))

    def title_of(self, data: Data) -> str:
        limit = f"limit {data['limit']} of {self.subject_of(data)}"
        if self.ends:
            return f"Over: {limit} is below {data['threshold_percent']} % again"
        first = "Test: " if self.name == TEST else "Shadow: " if data["shadow"] else ""
        return f"{first}{data['threshold_percent']} % of {limit} is used"

    def facts_of(self, data: Data) -> Iterator[tuple[str, str]]:
        yield "Used", f"{data['used']:,} of {data['effective_limit']:,}"
        if data["full_in_s"] is not None and not self.ends:
            yield "Full in", f"{round(data['full_in_s'])} s"
        yield "Tenant", data["tenant_id"]
        yield "Action", data["action_id"] or "all actions together"
        yield "Policy", f"{data['policy']} (version {data['policy_version']})"
        yield "Since", data["started_at"]
        if data["ended_at"]:
            yield "Until", data["ended_at"]


EXAMPLE: dict[str, Any] = {
    "alert_id": 7,
    "tenant_id": "acme",
    "action_id": "lookupOrder",
    "limit": "minute",
    "policy": "Base",
    "policy_version": 3,
    "threshold_percent": 80,
    "used": 81,
    "effective_limit": 100,
    "full_in_s": 42.0,
    "shadow": False,
    "started_at": "2026-11-25T10:30:00+00:00",
    "ended_at": None,
    "ending": None,
    "url": "https://quota.example.com/dashboard/tenants/acme/",
}
_INCIDENT = "quota-alert-{alert_id}"


def choosable() -> dict[str, EventType]:
    """The types that a contact point may choose, those that open an incident first."""
    types = [each for each in features.event_types().values() if each.may_be_chosen]
    return {each.name: each for each in sorted(types, key=lambda each: (each.name != STARTED, not each.incident))}


TYPES = (
    AlertEvent(name=STARTED, label=_("alert started"), example=EXAMPLE, incident=_INCIDENT),
    AlertEvent(
        name=ENDED,
        label=_("alert ended"),
        example={**EXAMPLE, "ended_at": "2026-11-25T10:31:00+00:00", "ending": "fell"},
        incident=_INCIDENT,
        ends=STARTED,
    ),
    AlertEvent(name=TEST, label=_("test"), example={**EXAMPLE, "alert_id": None}, incident=_INCIDENT),
)
