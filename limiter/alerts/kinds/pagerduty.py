"""PagerDuty, by its Events API v2 (https://developer.pagerduty.com/docs/events-api-v2-overview): an end resolves.

What opens no incident is a change event (https://developer.pagerduty.com/docs/send-change-event), with the same key.
"""

from __future__ import annotations

from typing import Any

from limiter.alerts.kinds.kind import Contact, Kind, Post, cut, encoded
from limiter.alerts.message import Message

_MAX_SUMMARY = 1_024


class PagerDuty(Kind):
    def outgoing(self, message: Message, contact: Contact, *, at_s: int) -> Post:
        if not message.opens_incident:
            return self._change(message, contact)
        event: dict[str, Any] = {
            "routing_key": contact.secret,
            "event_action": "resolve" if message.is_end else "trigger",
            "dedup_key": f"{contact.uid}-{message.incident}",
        }
        if not message.is_end:
            event |= {
                "payload": {
                    "summary": cut(message.title, _MAX_SUMMARY),
                    "source": message.subject,
                    "severity": message.severity,
                    "timestamp": message.timestamp,
                    "component": message.component,
                    "group": message.tenant_id,
                    "class": "quota",
                    "custom_details": dict(message.facts()),
                },
                "client": "Quota platform",
            }
            if message.link:
                event |= {"client_url": message.link, "links": [{"href": message.link, "text": "Dashboard"}]}
        return Post(contact.url, self.JSON, encoded(event))

    def _change(self, message: Message, contact: Contact) -> Post:
        event: dict[str, Any] = {
            "routing_key": contact.secret,
            "payload": {
                "summary": cut(message.title, _MAX_SUMMARY),
                "source": message.subject,
                "timestamp": message.timestamp,
                "custom_details": dict(message.facts()),
            },
        }
        if message.link:
            event["links"] = [{"href": message.link, "text": "Dashboard"}]
        return Post(f"{contact.url.removesuffix('/enqueue')}/change/enqueue", self.JSON, encoded(event))
