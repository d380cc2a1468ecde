"""De-duplication: a call repeated while its response is remembered gets that response, and is not charged again.

A call takes part when its caller sends an Idempotency-Key, or when its connection de-duplicates by tenant, action and
body. The gateway calls :meth:`Dedupe.recall` before it decides, and tells :meth:`Dedupe.remember` how the call ended.
A remembered response is customer data: sealed, at most 64 KiB long and gone after the connection's ``dedupe_ttl_s``.
With the store away nothing is remembered and calls go on.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import secrets as random_secrets
from dataclasses import dataclass
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from limiter.core import keys, versioned
from limiter.core.versioned import Form, Unreadable
from limiter.stores.scripts import Script
from limiter.upstream.call import UpstreamCall, UpstreamResponse
from limiter.upstream.clock import Clock
from limiter.upstream.errors import OutcomeUnknown, UpstreamError
from quota_platform.base import secrets

_CLAIM, _REPLACE = Script(__file__, "claim_response"), Script(__file__, "replace_claim")
_DELETE = Script(__file__, "delete_if_starts_with")
LONGEST_BODY_BYTES = 65_536
LONGEST_KEY_CHARS = 255
GRACE_S = 5.0
"""A claim outlives its call's deadline by this much; one of a worker that was killed ends then."""
REPLAYED = ("Idempotency-Replayed", "true")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """This call is the first: make it, then hand the claim to :meth:`Dedupe.remember`."""

    key: str
    value: str
    ttl_s: int


@dataclass(frozen=True, slots=True)
class NotRepeated:
    """This call is a repeat that cannot be answered with the first response; answer it with this problem."""

    status: int
    kind: str
    detail: str


_MISMATCH = NotRepeated(
    422, "idempotency-mismatch", "This Idempotency-Key was used for a call with another action or body."
)
_PENDING = NotRepeated(409, "idempotency-pending", "The first call with this Idempotency-Key has not ended yet.")
_TOO_LONG = NotRepeated(
    409, "idempotency-too-long", "The first call has its response, which is too long to be repeated."
)
_BAD_KEY = NotRepeated(
    400, "idempotency-key-invalid", f"An Idempotency-Key is 1 to {LONGEST_KEY_CHARS} printable ASCII characters."
)


class Dedupe:
    """One per worker. ``client`` None: nothing is de-duplicated."""

    def __init__(self, client: redis.asyncio.Redis | None, *, clock: Clock | None = None) -> None:
        self._client = client
        self._clock = clock or Clock()

    @staticmethod
    def wants(call: UpstreamCall) -> bool:
        """Whether the call takes part at all; costs nothing, so that other calls need not await :meth:`recall`."""
        return call.idempotency_key is not None or call.connection.dedupe

    async def recall(self, call: UpstreamCall, *, waits_s: float = 0) -> UpstreamResponse | NotRepeated | Claim | None:
        """The first response to this call, a claim to make it, or why neither; None: go on without.

        A repeat that comes while the first is under way waits for it, as long as the call's own deadline; ``waits_s``:
        and so long as the call may wait for its turn before.
        """
        if self._client is None or not self.wants(call):
            return None
        given = call.idempotency_key
        if given is not None and not (0 < len(given) <= LONGEST_KEY_CHARS and given.isascii() and given.isprintable()):
            return _BAD_KEY
        key, print_ = _names(call)
        budget_s = waits_s + min(call.action.timeout_ms / 1000, call.connection.total_deadline_s)
        claim = Claim(key, f"p{print_}{random_secrets.token_hex(12)}", call.connection.dedupe_ttl_s)
        ends = self._clock.monotonic() + budget_s
        pause = 0.02
        try:
            while True:
                raw = await _CLAIM(self._client, (key,), claim.value, int((budget_s + GRACE_S) * 1000))
                if not raw:
                    return claim
                found = raw.decode() if isinstance(raw, bytes) else str(raw)
                if not found.startswith("p" + print_):
                    return _read(found, print_, key=key)
                if self._clock.monotonic() >= ends:
                    return _PENDING
                await self._clock.sleep(pause)
                pause = min(0.25, pause * 1.5)
        except (RedisError, OSError):
            _log.warning("the store is unavailable; a repeated call would not be noticed")
            return None

    async def remember(self, claim: Claim, outcome: UpstreamResponse | UpstreamError | None) -> None:
        """How the claimed call ended: its response, its error, or None when it was not made (refused by a quota).

        A call that did not run is forgotten, so that its repeat is made; one that may have run is not.
        """
        record = _record(claim, outcome)
        if self._client is None:
            return
        try:
            if record is None:
                await _DELETE(self._client, (claim.key,), claim.value)
            else:
                await _REPLACE(self._client, (claim.key,), claim.value, record, claim.ttl_s * 1000)
        except (RedisError, OSError):
            _log.warning("the store is unavailable; a response was not remembered")


def _names(call: UpstreamCall) -> tuple[str, str]:
    """The key of the call and the fingerprint of its content."""
    print_ = hashlib.sha256(b"\0".join([call.action.action_id.encode(), call.body])).hexdigest()[:32]
    said = print_ if call.idempotency_key is None else "key\0" + call.idempotency_key
    digest = hashlib.sha256(f"{call.tenant_id}\0{said}".encode()).hexdigest()
    return keys.response(call.connection.id, digest), print_


def _record(claim: Claim, outcome: UpstreamResponse | UpstreamError | None) -> str | None:
    """The record stored in the claim's place: a letter for its sort, the fingerprint, the content."""
    print_ = claim.value[1:33]
    if isinstance(outcome, OutcomeUnknown):
        return f"u{print_}{outcome.status}"
    if not isinstance(outcome, UpstreamResponse):
        return None
    if outcome.body is None or len(outcome.body) > LONGEST_BODY_BYTES:
        return f"l{print_}"
    plain = FORM.dump(
        {
            "status": outcome.status,
            "headers": outcome.headers,
            "latency_us": outcome.latency_us,
            "body": base64.b64encode(outcome.body).decode(),
            "ok": outcome.ok,
        }
    )
    return f"a{print_}" + secrets.seal(plain, purpose=claim.key)


def _read(found: str, print_: str, *, key: str) -> UpstreamResponse | NotRepeated | None:
    """A stored record as a response to the repeat."""
    sort, stored_print, content = found[0], found[1:33], found[33:]
    if stored_print != print_:
        return _MISMATCH
    if sort == "u":
        detail = "The outcome of the first call is unknown: it may have run, and is not made again for now."
        status = int(content[:3]) if content[:3].isdecimal() else 502
        return NotRepeated(status, "upstream-outcome-unknown", detail)
    if sort == "l":
        return _TOO_LONG
    try:
        if sort != "a":
            raise versioned.refused("remembered answer", Unreadable(f"of the sort {sort!r}"))
        return FORM.load(secrets.unseal(content, purpose=key))
    except (secrets.SecretUnreadable, Unreadable):
        # Its key was rotated away meanwhile, or another release wrote it. The call was made, and is not made again.
        return _TOO_LONG


def _respond(data: dict[str, Any]) -> UpstreamResponse:
    return UpstreamResponse(
        status=int(data["status"]),
        headers=[*((str(name), str(value)) for name, value in data["headers"]), REPLAYED],
        latency_us=int(data["latency_us"]),
        body=base64.b64decode(data["body"]),
        attempts=0,
        ok=bool(data["ok"]),
    )


FORM = Form("remembered answer", {1: _respond})
