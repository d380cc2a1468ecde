"""A program of your own: the message as JSON, signed by Standard Webhooks."""

from __future__ import annotations

from limiter.alerts.kinds import signature
from limiter.alerts.kinds.kind import Contact, Kind, Post
from limiter.alerts.message import Message


class Signed(Kind):
    def outgoing(self, message: Message, contact: Contact, *, at_s: int) -> Post:
        body = message.body.encode()
        signed = signature.headers(contact.secret, message_id=message.uid, at_s=at_s, body=body)
        return Post(contact.url, {**self.JSON, **signed}, body)
