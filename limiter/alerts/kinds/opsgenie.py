"""Opsgenie, by its Alert API (https://docs.opsgenie.com/docs/alert-api): an end closes the alert of the start."""

from __future__ import annotations

from urllib.parse import quote

from limiter.alerts.kinds.kind import Contact, Kind, Post, cut, encoded
from limiter.alerts.message import Message

_MAX_MESSAGE = 130
_PRIORITIES = {"critical": "P1", "error": "P2", "warning": "P3", "info": "P5"}
_SOURCE = "Quota platform"


class Opsgenie(Kind):
    def outgoing(self, message: Message, contact: Contact, *, at_s: int) -> Post:
        headers = {**self.JSON, "Authorization": f"GenieKey {contact.secret}"}
        alias = f"{contact.uid}-{message.incident}"
        if message.is_end:
            url = f"{contact.url.rstrip('/')}/{quote(alias, safe='')}/close?identifierType=alias"
            return Post(url, headers, encoded({"source": _SOURCE, "note": message.title}))
        details = dict(message.facts()) | ({"Dashboard": message.link} if message.link else {})
        alert = {
            "message": cut(message.title, _MAX_MESSAGE),
            "alias": alias,
            "description": "\n".join(f"{name}: {value}" for name, value in details.items()),
            "entity": message.subject,
            "source": _SOURCE,
            "priority": _PRIORITIES[message.severity],
            "tags": ["quota", message.component],
            "details": details,
        }
        return Post(contact.url, headers, encoded(alert))
