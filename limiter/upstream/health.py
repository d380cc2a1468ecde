"""Whether a connection can be used, and if not, why: a record in Redis that every worker writes and people read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import redis
import redis.asyncio
from redis.exceptions import RedisError

from limiter.core import keys, versioned
from limiter.core.versioned import Form

KEEP_S = 86_400

P = TypeVar("P", redis.client.Pipeline, redis.asyncio.client.Pipeline)


@dataclass(frozen=True, slots=True)
class ConnectionFault:
    """Why a connection cannot be used. Times are epoch seconds.

    ``lasting``: somebody has to change something; else a fault of the moment. ``retry_at``: nothing is tried before.
    ``fingerprint``: of the settings that failed; others are tried at once.
    """

    reason: str
    since: float
    retry_at: float
    failures: int
    lasting: bool
    fingerprint: str


def _fault(data: Any) -> ConnectionFault:
    rest = {"reason": "", "since": 0.0, "retry_at": 0.0, "failures": 1, "lasting": False}
    return ConnectionFault(fingerprint=str(data["fingerprint"]), **versioned.filled(data, rest))


FORM = Form("fault of a connection", {1: _fault}, lenient=True)
"""The first release takes these fields and no more."""


def parse(raw: bytes | str | None) -> ConnectionFault | None:
    """A stored record; None when there is none or it cannot be read."""
    return FORM.load_or_none(raw or None)


def dump(fault: ConnectionFault) -> str:
    return FORM.dump(asdict(fault))


def read(client: redis.Redis, uids: Iterable[str]) -> dict[str, ConnectionFault]:
    """The connections, by uid, that cannot be used now. One round trip; raises RedisError."""
    wanted = list(uids)
    with client.pipeline(transaction=False) as pipe:
        return _faults(wanted, _asking(pipe, wanted).execute())


async def read_async(client: redis.asyncio.Redis, uids: Iterable[str]) -> dict[str, ConnectionFault]:
    """The same from an event loop."""
    wanted = list(uids)
    async with client.pipeline(transaction=False) as pipe:
        return _faults(wanted, await _asking(pipe, wanted).execute())


def _asking(pipe: P, uids: Iterable[str]) -> P:
    for uid in uids:
        pipe.get(keys.health(uid))
    return pipe


def _faults(uids: Iterable[str], found: Iterable[Any]) -> dict[str, ConnectionFault]:
    return {uid: fault for uid, raw in zip(uids, found, strict=True) if (fault := parse(raw))}


async def record(client: redis.asyncio.Redis | None, uid: str, fault: ConnectionFault | None) -> None:
    """Remember a fault, or with None that there is none any more. Never raises: it is advice, not state."""
    if client is None:
        return
    with contextlib.suppress(RedisError, OSError):
        if fault is None:
            await client.delete(keys.health(uid))
        else:
            await client.set(keys.health(uid), dump(fault), ex=KEEP_S)
