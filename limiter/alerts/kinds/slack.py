"""A Slack channel, by an incoming webhook (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks).

Values are plain text objects, so that a name like ``<!channel>`` calls nobody.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from limiter.alerts.kinds.kind import Contact, Kind, Post, cut, encoded
from limiter.alerts.message import Message

_MAX_HEADER = 150
_MAX_FIELD = 2_000
_MAX_FIELDS = 10


class Slack(Kind):
    def outgoing(self, message: Message, contact: Contact, *, at_s: int) -> Post:
        fields = [_plain(cut(f"{name}: {value}", _MAX_FIELD)) for name, value in islice(message.facts(), _MAX_FIELDS)]
        blocks: list[dict[str, Any]] = [
            {"type": "header", "text": _plain(cut(message.title, _MAX_HEADER))},
            {"type": "section", "fields": fields},
        ]
        if message.link:
            button = {"type": "button", "text": _plain("Open the dashboard"), "url": message.link}
            blocks.append({"type": "actions", "elements": [button]})
        # Shown by notifications, and read as mrkdwn.
        return Post(contact.url, self.JSON, encoded({"text": _escaped(message.title), "blocks": blocks}))


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
