"""A receiver for alerts, so that the demo has one: keeps the newest messages and shows them on a page."""

from __future__ import annotations

import datetime
import html
import json
from typing import TYPE_CHECKING, Any

from quota_platform.sandbox.log import LogEntry
from quota_platform.sandbox.responses import HTML, SandboxResponse, empty

if TYPE_CHECKING:
    from quota_platform.sandbox.state import SandboxState

_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "Cache-Control": "no-store"}
_NAMES = ("policy", "key", "connection", "kind")
"""Of the object of an event beyond alerts."""
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Delivered messages</title>
<style>body{{font:15px/1.5 system-ui,sans-serif;margin:32px;max-width:70em}}
pre{{white-space:pre-wrap}}</style></head><body><main><h1>Delivered messages</h1>
<p>The newest messages that the platform has posted here. Load the page again for newer ones.</p>{content}
</main></body></html>"""


def take(state: SandboxState, entry: LogEntry) -> SandboxResponse:
    """``POST`` keeps a message and accepts it; ``GET`` shows what came."""
    if entry.method == "POST":
        state.delivered.appendleft(entry)
        return empty(204)
    rows = "".join(map(_row, state.delivered)) or "<p>Nothing yet. An alert comes within a few minutes of traffic.</p>"
    body = _PAGE.format(content=rows).encode()
    return SandboxResponse(body=body, content_type=HTML, headers=dict(_HEADERS))


def _row(entry: LogEntry) -> str:
    at = datetime.datetime.fromtimestamp(entry.at, datetime.UTC)
    text = entry.public_body()
    title, shown = _read(text)
    number = entry.headers.get("webhook-id", "")
    return (
        f"<details><summary>{at:%Y-%m-%d %H:%M:%S} UTC <strong>{html.escape(title)}</strong></summary>"
        f"<p>{html.escape(number)}</p><pre>{html.escape(shown)}</pre></details>"
    )


def _read(text: str) -> tuple[str, str]:
    """A line about a message, and the message as people read JSON; of one that is none the text."""
    try:
        message: Any = json.loads(text)
        data = message["data"]
        return f"{message['type']}: {_about(data)}", json.dumps(message, indent=2, ensure_ascii=False)
    except (ValueError, LookupError, TypeError):
        return "a message of another form", text


def _about(data: Any) -> str:
    if "threshold_percent" in data:
        of = filter(None, (data["tenant_id"], data.get("action_id"), data["limit"]))
        return f"{' '.join(of)} {data['threshold_percent']} %"
    named = (str(data[name]) for name in _NAMES if data.get(name))
    return " ".join(filter(None, (data["tenant_id"], next(named, ""))))
