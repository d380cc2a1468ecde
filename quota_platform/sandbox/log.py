"""The request log: requests, byte for byte except for secrets, and the responses; the newest entries only."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SECRET_FIELDS = frozenset(
    {"client_secret", "password", "accesskeysecret", "refresh_token", "token", "subject_token", "assertion"}
)
BODY_CAP = 65_536


def masked(secret: str) -> str:
    """A stand-in for a secret: equal for equal secrets, and useless for anything but comparing."""
    return "sha256:" + hashlib.sha256(secret.encode()).hexdigest()[:12]


@dataclass(slots=True)
class LogEntry:
    """One call, from the moment its body is read. Times are seconds since 1970 by the sandbox's clock."""

    seq: int
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    endpoint: str = "unknown"
    action: str | None = None
    contact: str | None = None
    unit: int | None = None
    client_id: str | None = None
    status: int | None = None
    outcome: str = "in_flight"
    fault: str | None = None
    ran: bool = False
    done_at: float | None = None
    key: str | None = None
    minted: str | None = field(default=None, repr=False)
    """The token this call was given."""

    def public(self) -> dict[str, Any]:
        """The entry as the control API shows it."""
        return {
            "seq": self.seq,
            "endpoint": self.endpoint,
            "method": self.method,
            "path": self.path,
            "query": mask_form(self.query),
            "headers": {name.lower(): mask_header(name, value) for name, value in self.headers.items()},
            "body": self.public_body(),
            "action": self.action,
            "contact": self.contact,
            "unit": self.unit,
            "client_id": self.client_id,
            "status": self.status,
            "outcome": self.outcome,
            "fault": self.fault,
            "ran": self.ran,
            "at": round(self.at, 6),
            "took_ms": None if self.done_at is None else round((self.done_at - self.at) * 1000, 3),
        }

    def public_body(self) -> str:
        """The body as text; on the token endpoints with its secrets masked and all else as it was sent."""
        text = self.body[:BODY_CAP].decode("utf-8", "replace")
        if self.endpoint != "token":
            return text
        return mask_json(text) if text.lstrip().startswith("{") else mask_form(text)


def mask_header(name: str, value: str) -> str:
    """``Authorization`` keeps its kind: ``Bearer sha256:…``."""
    if name.lower() not in ("authorization", "proxy-authorization", "cookie"):
        return value
    kind, space, credentials = value.partition(" ")
    return f"{kind} {masked(credentials)}" if space else masked(value)


def mask_form(text: str) -> str:
    """Secret fields of a form or a query masked; the other pairs stay as they were encoded."""
    if "=" not in text:
        return text
    pairs = (pair.partition("=") for pair in text.split("&"))
    return "&".join(f"{n}{eq}{masked(v) if n.lower() in SECRET_FIELDS else v}" for n, eq, v in pairs)


def mask_json(text: str) -> str:
    """Secret fields of a JSON object masked; a body that is no object is not shown at all."""
    try:
        values = json.loads(text)
    except ValueError:
        return "(not JSON)"
    if not isinstance(values, dict):
        return "(not an object)"
    return json.dumps({n: masked(str(v)) if n.lower() in SECRET_FIELDS else v for n, v in values.items()})


class RequestLog:
    """The newest ``size`` entries. A call is in it as soon as it has arrived, so that a held call can be waited for."""

    def __init__(self, *, size: int = 5000) -> None:
        self._entries: deque[LogEntry] = deque(maxlen=size)
        self._arrivals: list[tuple[int, asyncio.Future[None]]] = []
        self._ends: dict[int, asyncio.Future[None]] = {}
        self.last_seq = 0

    def add(self, entry: LogEntry) -> None:
        self.last_seq = entry.seq
        self._entries.append(entry)
        if self._arrivals:
            self._wake()

    def clear(self) -> None:
        """Forget the entries; numbering goes on, so that a ``since`` taken before stays good."""
        self._entries.clear()

    def entries(self, *, since: int = 0, endpoint: str | None = None) -> list[LogEntry]:
        """Entries numbered above ``since``, oldest first."""
        found = []
        for entry in reversed(self._entries):
            if entry.seq <= since:
                break
            if endpoint is None or entry.endpoint == endpoint:
                found.append(entry)
        return found[::-1]

    async def reached(self, seq: int) -> None:
        """Return once the call numbered ``seq`` has arrived."""
        if self.last_seq < seq:
            waiter = asyncio.get_running_loop().create_future()
            self._arrivals.append((seq, waiter))
            await waiter

    async def ended(self, seq: int) -> LogEntry:
        """Return the entry of that number once its call is over; it must have arrived and still be kept."""
        entry = next(entry for entry in self._entries if entry.seq == seq)
        if entry.done_at is None:
            await self._ends.setdefault(seq, asyncio.get_running_loop().create_future())
        return entry

    def end(self, entry: LogEntry) -> None:
        """The call is over; wake who waits for it."""
        if self._ends and (waiter := self._ends.pop(entry.seq, None)) is not None and not waiter.done():
            waiter.set_result(None)

    def _wake(self) -> None:
        for seq, waiter in self._arrivals:
            if seq <= self.last_seq and not waiter.done():
                waiter.set_result(None)
        self._arrivals = [(seq, waiter) for seq, waiter in self._arrivals if not waiter.done()]
