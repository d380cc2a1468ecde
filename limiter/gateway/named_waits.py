"""Waits that refusals have named, until their calls come back: what the kept ratio counts where no unit is held.

Only a call with an Idempotency-Key is known again. One that returns to another worker is not: the ratio is of those
that are seen, and a worker is chosen without regard to how its call will be decided.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from limiter.core.types import MICROS, Decision
from limiter.gateway.names import NAMELESS, RETURNED, Names
from limiter.upstream.call import UpstreamCall
from quota_platform.base.lru import Lru

_Client = tuple[str, str, str, str]
MAX_NAMED = 10_000
"""In one worker; about 3 MB. The oldest is forgotten first, and counts as neither kept nor broken."""
RETURNS_WITHIN_S = 60
"""A call that comes later than this after its time has not come because of it."""


class NamedWaits:
    """One worker's, so many at most. ``clock``: in seconds."""

    def __init__(self, *, max_named: int = MAX_NAMED, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due: Lru[_Client, float] = Lru(max_named)

    def names_of(self, key_prefix: str, call: UpstreamCall, *, reserves: bool) -> Names:
        """In whose names a call is decided: those of its client where units are held, else those of a call that
        returns, if it is one. Its named time is forgotten.
        """
        if reserves:
            return Names.of(key_prefix, call.tenant_id, call.action.action_id, call.idempotency_key)
        if not self._due or call.idempotency_key is None:
            return NAMELESS
        due = self._due.drop(_client(key_prefix, call))
        return NAMELESS if due is None or not due <= self._clock() <= due + RETURNS_WITHIN_S else RETURNED

    def refused(self, key_prefix: str, call: UpstreamCall, decision: Decision) -> None:
        """A call was refused, with a wait."""
        if call.idempotency_key is None or decision.degraded or not decision.retry_after_us:
            return
        self._due.put(_client(key_prefix, call), self._clock() + decision.retry_after_us / MICROS)


def _client(key_prefix: str, call: UpstreamCall) -> _Client:
    return key_prefix, call.tenant_id, call.action.action_id, call.idempotency_key or ""
