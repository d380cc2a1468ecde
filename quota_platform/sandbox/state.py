"""The sandbox's whole state while it runs, and its clock."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

from quota_platform.sandbox import latency
from quota_platform.sandbox.accounts import Accounts
from quota_platform.sandbox.conduct import CallerConduct
from quota_platform.sandbox.contacts import Contacts
from quota_platform.sandbox.counters import Counters
from quota_platform.sandbox.faults import Faults
from quota_platform.sandbox.fields import Fields
from quota_platform.sandbox.listener import SandboxListener
from quota_platform.sandbox.log import LogEntry, RequestLog
from quota_platform.sandbox.responses import SandboxResponse
from quota_platform.sandbox.tokens import TokenBook
from quota_platform.sandbox.unit_limits import UnitLimits

MAX_DELIVERED = 200
"""Alerts that the sink keeps; the newest."""
KEY_HEADERS = ("Idempotency-Key", "X-Correlation-Id", "X-Request-Id")


class SandboxState:
    """One sandbox. In tests it is used directly; from other processes through the control API.

    ``clock`` gives seconds since 1970. Token lifetimes, fault windows, ramps and unit limits go by it and by
    :meth:`advance`; waiting for a response takes real time.
    """

    def __init__(
        self,
        *,
        clients: Mapping[str, str] | None = None,
        access_keys: Mapping[str, str] | None = None,
        profile: str = "instant",
        token_profile: str = "instant",
        seed: int | None = None,
        log_size: int = 5000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._ahead = 0.0
        self._initial = (profile, token_profile)
        self.rng = random.Random(seed)
        self._trace = f"{uuid.UUID(int=self.rng.getrandbits(128), version=4)}"[:24]
        self._seq = 0
        self.base_url = ""
        self.accounts = Accounts()
        for client_id, secret in (clients or {}).items():
            self.accounts.add_client(client_id, secret=secret)
        for key_id, secret in (access_keys or {}).items():
            self.accounts.add_access_key(key_id, secret=secret)
        self.tokens = TokenBook()
        self.log = RequestLog(size=log_size)
        self.delivered: deque[LogEntry] = deque(maxlen=MAX_DELIVERED)
        self.counters = Counters()
        self.conduct = CallerConduct()
        self.faults = Faults(rng=self.rng, clock=self.now)
        self.unit_limits = UnitLimits()
        self.contacts = Contacts()
        self.scripted: dict[str, SandboxResponse] = {}
        self.story: tuple[int, str] = 0, ""
        """What demo traffic is to play: how many stories were started, and the last one."""
        self.gate = asyncio.Event()
        self.invoke_latency = latency.named(profile, now=self.now())
        self.token_latency = latency.named(token_profile, now=self.now())
        self.action_latency: dict[str, latency.Setting] = {}
        self.listener: SandboxListener | None = None
        self._minute = 0
        self._in_minute: Counter[str] = Counter()

    def now(self) -> float:
        return self._clock() + self._ahead

    def advance(self, seconds: float) -> None:
        """Put the sandbox's clock forward: tokens expire, buckets refill, ramps go on."""
        self._ahead += seconds

    def put_latency(self, values: object) -> latency.Setting:
        """Change how long calls take, e.g. ``{"profile": "slow"}`` or ``{"ms": 50, "where": "token"}``."""
        fields = Fields(values)
        where = fields.text("where", default="invoke", choices=("invoke", "token"))
        action = fields.maybe_text("action")
        setting = latency.read(fields, now=self.now())
        fields.done()
        if where == "token":
            self.token_latency = setting
        elif action is None:
            self.invoke_latency = setting
        else:
            self.action_latency[action] = setting
        return setting

    def let_go(self) -> None:
        """Respond to every call that is held at this moment (profile or fault ``stall``)."""
        self.gate.set()
        self.gate = asyncio.Event()

    def rate_in_minute(self, client_id: str, *, minute: int) -> int:
        """Count one call of a client and return how many it has made in this minute."""
        if minute != self._minute:
            self._minute = minute
            self._in_minute.clear()
        self._in_minute[client_id] += 1
        return self._in_minute[client_id]

    def address_used(self, entry: LogEntry) -> str:
        """The sandbox's address as this caller knows it, which behind 0.0.0.0 or a container is not our own."""
        host = entry.headers.get("Host")
        return f"http://{host}" if host else self.base_url

    def trap_url(self) -> str:
        """Where redirects lead: this server under another name, where a client that follows is seen."""
        return "http://localhost:" + self.base_url.rpartition(":")[2] + "/__sim__/trap"

    def trace_id(self, entry: LogEntry) -> str:
        """A UUID's shape without a UUID's price: this run's prefix and the call's number."""
        return f"{self._trace}{entry.seq:012x}"

    def arrive(self, *, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> LogEntry:
        """A call has come in whole: number it, count it, log it."""
        self._seq += 1
        now = self.now()
        entry = LogEntry(self._seq, method, path, query, headers, body, now)
        for name in KEY_HEADERS:
            if name in headers:
                entry.key = headers[name]
                break
        self.counters.arrived(at=now)
        self.log.add(entry)
        return entry

    def depart(self, entry: LogEntry, *, outcome: str) -> None:
        """The call is over: answered, or broken off by either side."""
        entry.done_at = self.now()
        entry.outcome = outcome
        self.counters.in_flight -= 1
        self.counters.statuses[str(entry.status) if outcome == "answered" else outcome] += 1
        if entry.minted is not None and (outcome != "answered" or entry.fault is not None):
            self.tokens.undelivered(entry.minted)
        if outcome != "answered" or (entry.status or 0) >= 500:
            self.conduct.outcome_unknown(entry)
        self.log.end(entry)

    def reset(self, *, tokens: bool = False) -> None:
        """As at the start: no faults, limits, scripts, log or counts. Accounts stay; tokens go only on request."""
        self._ahead = 0.0
        in_flight = self.counters.in_flight
        self.counters = Counters(in_flight=in_flight, max_in_flight=in_flight)
        self.log.clear()
        self.conduct.clear()
        self.faults.clear()
        self.unit_limits.clear()
        self.contacts.clear()
        self.scripted.clear()
        self.action_latency.clear()
        self.tokens.rules.reset()
        self.invoke_latency = latency.named(self._initial[0], now=self.now())
        self.token_latency = latency.named(self._initial[1], now=self.now())
        if tokens:
            self.tokens.clear()
        self.let_go()

    def public(self) -> dict[str, Any]:
        """The present state, without secrets."""
        return {
            "base_url": self.base_url,
            "clock": self.now(),
            "latency": {
                "invoke": self.invoke_latency.label,
                "token": self.token_latency.label,
                "actions": {action: setting.label for action, setting in self.action_latency.items()},
            },
            "tokens": self.tokens.rules.public(),
            "faults": self.faults.public(),
            "limiter": self.unit_limits.public(),
            "conduct": self.conduct.public(),
            "answers": sorted(self.scripted),
            **self.accounts.public(),
        }
