"""A Microsoft Teams channel, by a workflow that starts when a Teams webhook request is received.

The message is an Adaptive Card 1.4 (https://adaptivecards.io/explorer/). Texts are text runs, which Teams does not read
as Markdown.
"""

from __future__ import annotations

from typing import Any

from limiter.alerts.kinds.kind import Contact, Kind, Post, encoded
from limiter.alerts.message import Message

_COLOURS = {"critical": "attention", "error": "attention", "warning": "warning", "info": "accent"}


class Teams(Kind):
    def outgoing(self, message: Message, contact: Contact, *, at_s: int) -> Post:
        colour = "good" if message.is_end else _COLOURS[message.severity]
        card: dict[str, Any] = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "fallbackText": message.title,
            "body": [
                _line(_run(message.title, size="large", weight="bolder", color=colour)),
                *(_line(_run(f"{name}: ", weight="bolder"), _run(value)) for name, value in message.facts()),
            ],
        }
        if message.link:
            card["actions"] = [{"type": "Action.OpenUrl", "title": "Open the dashboard", "url": message.link}]
        attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
        return Post(contact.url, self.JSON, encoded({"type": "message", "attachments": [attachment]}))


def _line(*runs: dict[str, str]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(text: str, **style: str) -> dict[str, str]:
    return {"type": "TextRun", "text": text, **style}
