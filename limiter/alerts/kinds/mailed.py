"""Mail, one to all recipients of the contact point."""

from __future__ import annotations

from limiter.alerts.kinds.kind import Contact, Kind, Mail
from limiter.alerts.message import Message


class Mailed(Kind):
    def outgoing(self, message: Message, contact: Contact, *, at_s: int) -> Mail:
        lines = [f"{name}: {value}" for name, value in message.facts()]
        link = ["", message.link] if message.link else []
        return Mail(
            " ".join(message.title.split()), "\n".join([message.title, "", *lines, *link]) + "\n", contact.recipients
        )
