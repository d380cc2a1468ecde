"""Checks how the client behaves: what a careful caller of CXone never does is counted, and refused on request."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_plus

from quota_platform.base.lru import Lru
from quota_platform.sandbox.endpoints import CXONE_STYLE, INVOKE
from quota_platform.sandbox.fields import ControlError, Fields
from quota_platform.sandbox.log import LogEntry
from quota_platform.sandbox.responses import SandboxResponse

BREACHES: dict[str, str] = {
    "accept_absent": "A CXone endpoint was called without Accept.",
    "secret_in_url": "A secret or a token stood in the path or the query.",
    "both_client_auths": "A token request carried client credentials in Basic and in the body.",
    "early_token": "A token was asked for while the last one had more than half of its life before it.",
    "sooner_same_call": "The same call came again before its Retry-After had passed.",
    "sooner_same_unit": "A call came to a unit before the Retry-After that the unit had given had passed.",
    "repeated_after_unknown": "A call that may have run (no whole response reached the client) came again.",
    "foreign_token": "A token of one business unit was used on another.",
    "token_followed_redirect": "A redirect was followed with the Authorization header.",
    "redirect_followed": "A redirect was followed.",
}
KEEP = 10_000
HIDDEN = "(not kept: it held a secret)"


class CallerConduct:
    """Counts breaches. A breach named in ``refuse`` gets a 400 as well."""

    def __init__(self) -> None:
        self.breaches: dict[str, int] = dict.fromkeys(BREACHES, 0)
        self.refuse: frozenset[str] = frozenset()
        self._described: Lru[object, float] = Lru(KEEP)
        self._unknown: Lru[object, None] = Lru(KEEP)

    def breach(self, name: str) -> str:
        self.breaches[name] += 1
        return name

    def check(self, entry: LogEntry, *, secrets_known: list[str]) -> list[str]:
        """Look at a call as it arrives; returns the breaches that shall be refused."""
        found = []
        if entry.endpoint in CXONE_STYLE and "Accept" not in entry.headers:
            found.append(self.breach("accept_absent"))
        if secrets_known and _holds_secret(entry, secrets_known):
            found.append(self.breach("secret_in_url"))
            entry.path = entry.query = HIDDEN
            entry.action = entry.action and HIDDEN
        return [name for name in found if name in self.refuse]

    def check_repeat(self, entry: LogEntry) -> list[str]:
        """Look at an invocation once its unit is known; returns the breaches that shall be refused."""
        if not self._described and not self._unknown:
            return []
        return [name for name in self._repeats(entry) if name in self.refuse]

    def answered(self, entry: LogEntry, response: SandboxResponse, *, now: float) -> None:
        """Remember the wait that the client was given, by the call and by its unit."""
        if response.status not in (429, 503) or entry.endpoint not in INVOKE:
            return
        data = response.headers.get("Retry-After", "")
        if data.isdigit():
            # A client that rounds its own clock is not in breach: five hundredths of a second are let pass.
            until = now + int(data) - 0.05
            self._described.put(fingerprint(entry), until)
            self._described.put(entry.unit, until)

    def outcome_unknown(self, entry: LogEntry) -> None:
        """The call ran, and its client got no whole response."""
        if entry.ran and entry.endpoint in INVOKE:
            self._unknown.put(fingerprint(entry), None)

    def put(self, fields: Fields) -> None:
        """Say which breaches are refused."""
        names = fields.raw("refuse")
        fields.done()
        if not isinstance(names, list) or not all(name in BREACHES for name in names):
            raise ControlError(
                "refuse", problem="It is not a list of breaches.", remedy=f"Known: {', '.join(BREACHES)}."
            )
        self.refuse = frozenset(names)

    def clear(self) -> None:
        self.breaches = dict.fromkeys(BREACHES, 0)
        self.refuse = frozenset()
        self._described.clear()
        self._unknown.clear()

    def public(self) -> dict[str, Any]:
        return {"ok": not any(self.breaches.values()), "breaches": dict(self.breaches), "refuse": sorted(self.refuse)}

    def _repeats(self, entry: LogEntry) -> list[str]:
        found = []
        same = fingerprint(entry)
        if entry.at < (self._described.peek(same) or 0.0):
            found.append(self.breach("sooner_same_call"))
        if entry.at < (self._described.peek(entry.unit) or 0.0):
            found.append(self.breach("sooner_same_unit"))
        if same in self._unknown:
            found.append(self.breach("repeated_after_unknown"))
        return found


def _holds_secret(entry: LogEntry, secrets_known: list[str]) -> bool:
    url = f"{entry.path}?{entry.query}"
    plain = unquote_plus(url)
    return any(secret in url or secret in plain for secret in secrets_known)


def fingerprint(entry: LogEntry) -> object:
    """The identity of a call: its target, its content, and the caller's own number for it."""
    return (entry.method, entry.path, entry.query, entry.body, entry.key)
