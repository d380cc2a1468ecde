"""Faults: what shall go wrong, where, how often and when. The effect of each on a response is in :mod:`.damage`."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from quota_platform.sandbox.endpoints import GROUPS, TOKEN
from quota_platform.sandbox.fields import ControlError, Fields
from quota_platform.sandbox.log import LogEntry
from quota_platform.sandbox.pushback import FLAVOURS

PARAMETERS: dict[str, Callable[[Fields], Any]] = {
    "flavour": lambda f: f.text("flavour", choices=FLAVOURS),
    "retry_after_seconds": lambda f: f.number("retry_after_seconds", low=0, high=86_400),
    "status": lambda f: f.whole("status", low=200, high=599),
    "ran": lambda f: f.flag("ran", default=False),
    "body": lambda f: f.raw("body"),
    "bytes": lambda f: f.whole("bytes", low=1, high=100_000_000),
    "chunk_bytes": lambda f: f.whole("chunk_bytes", low=1, high=1_000_000),
    "chunk_ms": lambda f: f.number("chunk_ms", low=0, high=60_000),
    "location": lambda f: f.text("location"),
    "content_type": lambda f: f.text("content_type"),
    "value": lambda f: f.raw("value"),
}
STATUS = ("ran", "body")
KINDS: dict[str, tuple[str, ...]] = {
    # The call did not run (unless "ran" says so).
    "429": ("flavour", "retry_after_seconds", *STATUS),
    "503": ("flavour", "retry_after_seconds", *STATUS),
    "401": STATUS,
    "403": STATUS,
    "404": STATUS,
    "status": ("status", *STATUS),
    "redirect": ("status", "location"),
    # The call ran and its response is lost, late or spoilt.
    "500": STATUS,
    "502": STATUS,
    "504": STATUS,
    "close_before_headers": ("ran",),
    "reset_before_headers": ("ran",),
    "reset_mid_body": ("bytes",),
    "truncated_json": (),
    "malformed": (),
    "html": (),
    "wrong_content_type": ("content_type",),
    "gzip": (),
    "big_body": ("bytes",),
    "drip": ("chunk_bytes", "chunk_ms"),
    "error_in_200": (),
    "slow": (),
    "stall": (),
    # The token response is odd.
    "expires_in": ("value",),
    "expires_in_missing": (),
    "expires_in_string": (),
    "expires_in_zero": (),
    "expires_in_negative": (),
    "camel_case": (),
    "no_id_token": (),
    "no_access_token": (),
    "empty_access_token": (),
}
TOKEN_ONLY = frozenset(list(KINDS)[list(KINDS).index("expires_in") :])
RUNS = frozenset(list(KINDS)[list(KINDS).index("500") :])


@dataclass(slots=True)
class PlannedFault:
    """One rule. It applies while all of its conditions hold, ``count`` times at most."""

    id: int
    name: str
    where: str
    starts_at: float
    ends_at: float
    count: int | None = None
    skip: int = 0
    rate: float = 1.0
    action: str | None = None
    unit: int | None = None
    client_id: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    slow_ms: float = 0.0
    parameters: dict[str, Any] = field(default_factory=dict)
    seen: int = 0
    hits: int = 0

    def concerns(self, entry: LogEntry, *, now: float) -> bool:
        """True when this call is one the rule is about."""
        return (
            self.starts_at <= now < self.ends_at
            and entry.endpoint in GROUPS[self.where]
            and self.action in (None, entry.action)
            and self.unit in (None, entry.unit)
            and self.client_id in (None, entry.client_id)
        )

    def runs(self, entry: LogEntry) -> bool:
        """True when the call takes effect all the same. A token that is not delivered is not minted."""
        ran = self.parameters.get("ran")
        if ran is not None:
            return bool(ran)
        return self.name in TOKEN_ONLY or (self.name in RUNS and (entry.endpoint != TOKEN or not self.name.isdigit()))

    def public(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "fault": self.name,
            "where": self.where,
            "count": self.count,
            "skip": self.skip,
            "rate": self.rate,
            "action": self.action,
            "unit": self.unit,
            "client_id": self.client_id,
            "hits": self.hits,
            **self.parameters,
        }


class Faults:
    """The rules in force, oldest first. The first one that concerns a call decides; a call has one fault at most."""

    def __init__(self, *, rng: random.Random, clock: Callable[[], float]) -> None:
        self._rng = rng
        self._clock = clock
        self._rules: list[PlannedFault] = []
        self._next_id = 1

    def __bool__(self) -> bool:
        return bool(self._rules)

    def add(self, values: object) -> PlannedFault:
        """Add the rule a control request describes; raises :class:`ControlError`."""
        fault = read(Fields(values), fault_id=self._next_id, now=self._clock())
        self._next_id += 1
        self._rules.append(fault)
        return fault

    def clear(self, *, fault_id: int | None = None) -> int:
        """Drop one rule or all; returns how many went."""
        before = len(self._rules)
        self._rules = [] if fault_id is None else [f for f in self._rules if f.id != fault_id]
        return before - len(self._rules)

    def pick(self, entry: LogEntry, *, now: float) -> PlannedFault | None:
        """The fault this call shall have. Rules that are used up or over are dropped."""
        self._drop_spent(now)
        for fault in self._rules:
            if not fault.concerns(entry, now=now):
                continue
            fault.seen += 1
            if fault.seen <= fault.skip or (fault.rate < 1 and self._rng.random() >= fault.rate):
                continue
            fault.hits += 1
            return fault
        return None

    def public(self) -> list[dict[str, Any]]:
        self._drop_spent(self._clock())
        return [fault.public() for fault in self._rules]

    def _drop_spent(self, now: float) -> None:
        self._rules = [f for f in self._rules if now < f.ends_at and (f.count is None or f.hits < f.count)]


def read(fields: Fields, *, fault_id: int, now: float) -> PlannedFault:
    """Read one rule, e.g. ``{"fault": "429", "count": 3, "headers": {"Retry-After": "2"}}``."""
    name = fields.text("fault", choices=KINDS)
    after = fields.number("after_seconds", low=0, high=86_400, default=0)
    lasts = fields.number("for_seconds", low=0, high=86_400, default=math.inf)
    fault = PlannedFault(
        id=fault_id,
        name=name,
        where=fields.text("where", choices=sorted(GROUPS), default=TOKEN if name in TOKEN_ONLY else "invoke"),
        starts_at=now + after,
        ends_at=now + after + lasts,
        count=fields.maybe_whole("count", low=1, high=1_000_000_000),
        skip=fields.whole("skip", low=0, high=1_000_000_000, default=0),
        rate=fields.number("rate", low=0, high=1, default=1.0),
        action=fields.maybe_text("action"),
        unit=fields.maybe_whole("unit", low=1_000_000, high=9_999_999),
        client_id=fields.maybe_text("client_id"),
        headers=fields.headers("headers"),
        slow_ms=fields.number("ms", low=0, high=600_000, default=2000 if name == "slow" else 0),
        parameters={p: PARAMETERS[p](fields) for p in KINDS[name] if fields.raw(p) is not None},
    )
    fields.done()
    if name in TOKEN_ONLY and fault.where != TOKEN:
        raise ControlError(
            "where", problem=f"{name} spoils token answers only.", remedy='Send "token" or leave it out.'
        )
    return fault
