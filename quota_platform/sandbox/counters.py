"""What the sandbox counts of its callers: calls, effects, tokens, duplicates."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

KEEP = 10_000
OTHERS = "(others)"


@dataclass(slots=True)
class Counters:
    """Plain numbers since the start or the last reset. Tables stop at 10,000 names; the rest is "(others)"."""

    calls: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    contacts: int = 0
    refused_by_unit_limit: int = 0
    peak_per_second: int = 0
    endpoints: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    called: Counter[str] = field(default_factory=Counter)
    ran: Counter[str] = field(default_factory=Counter)
    token_requests: Counter[str] = field(default_factory=Counter)
    minted: Counter[str] = field(default_factory=Counter)
    runs_by_key: Counter[str] = field(default_factory=Counter)
    _second: int = 0
    _this_second: int = 0

    def arrived(self, *, at: float) -> None:
        """A call has come in."""
        self.calls += 1
        self.in_flight += 1
        if self.in_flight > self.max_in_flight:
            self.max_in_flight = self.in_flight
        second = int(at)
        if second != self._second:
            self._second, self._this_second = second, 0
        self._this_second += 1
        if self._this_second > self.peak_per_second:
            self.peak_per_second = self._this_second

    def public(self) -> dict[str, Any]:
        return {
            "calls": self.calls,
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "peak_per_second": self.peak_per_second,
            "refused_by_unit_limit": self.refused_by_unit_limit,
            "by_endpoint": dict(self.endpoints),
            "by_status": dict(self.statuses),
            "invokes": {name: {"called": n, "ran": self.ran[name]} for name, n in self.called.items()},
            "contacts": self.contacts,
            "token_requests": dict(self.token_requests),
            "tokens_minted": dict(self.minted),
            "duplicates": {key: n for key, n in self.runs_by_key.items() if n > 1},
        }


def count(table: Counter[str], name: str) -> None:
    """Add one, without letting a caller who makes up names fill the memory."""
    if name in table or len(table) < KEEP:
        table[name] += 1
    else:
        table[OTHERS] += 1
