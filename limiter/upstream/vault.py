"""The token of a connection as all workers share it: sealed in Redis, with the lock of the one who renews it.

Redis may be unavailable: then nothing is found and nothing is kept, the lock counts as taken, and each process renews
for itself.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets as random_secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import redis.asyncio
from redis.asyncio.lock import Lock
from redis.exceptions import LockNotOwnedError, RedisError

from limiter.core import keys
from limiter.core.versioned import Form
from limiter.stores.scripts import Script
from limiter.upstream import discovery, health
from limiter.upstream.discovery import Endpoints
from limiter.upstream.health import ConnectionFault
from quota_platform.base import secrets
from tenants.directory import ConnectionSpec

_DELETE = Script(__file__, "delete_if_starts_with")
LOCK_S = 30
_log = logging.getLogger(__name__)


def fingerprint(connection: ConnectionSpec) -> str:
    """Tells the settings a token was issued for: an edit of any of them makes the token someone else's."""
    spoken = (
        connection.uid,
        connection.token_url,
        connection.issuer_url,
        connection.base_url,
        connection.area,
        connection.grant_type,
        connection.client_auth,
        connection.basic_urlencode,
        connection.token_body,
        connection.token_extra_params,
        connection.client_id,
        connection.client_secret_sealed,
        connection.access_key_id,
        connection.access_key_secret_sealed,
        connection.scope,
        connection.cxone_tenant_id,
    )
    return hashlib.sha256(json.dumps(spoken).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token as it lies in Redis. ``left_s``: how much of ``lifetime_s`` is left by the store's clock."""

    value: str = field(repr=False)
    api_base: str
    lifetime_s: float
    left_s: float


def _sealed(data: dict[str, Any]) -> tuple[str, StoredToken]:
    """For which settings a token was issued, and the token, all of it left."""
    lifetime_s = float(data["lifetime_s"])
    return str(data["mark"]), StoredToken(str(data["value"]), str(data["api_base"]), lifetime_s, lifetime_s)


FORM = Form("access token", {1: _sealed})


@dataclass(frozen=True, slots=True)
class Shelf:
    """All that the store holds of one connection, read in one round trip. ``away``: the store did not answer."""

    token: StoredToken | None = None
    endpoints: Endpoints = field(default_factory=Endpoints)
    fault: ConnectionFault | None = None
    away: bool = False


def _mark(value: str) -> str:
    """Names a token without telling it: the store compares by it."""
    return hashlib.sha256(value.encode()).hexdigest()[:32] + "."


class Vault:
    """Reads and writes one connection's keys; every command touches one key, so it works on a cluster too."""

    def __init__(self, client: redis.asyncio.Redis | None) -> None:
        self._client = client

    async def read(self, connection: ConnectionSpec, *, mark: str) -> Shelf:
        """The stored record for the settings that ``mark`` (a fingerprint) names."""
        if self._client is None:
            return Shelf(away=True, endpoints=Endpoints(fingerprint=mark))
        uid = connection.uid
        try:
            async with self._client.pipeline(transaction=False) as pipe:
                pipe.get(keys.token(uid))
                pipe.pttl(keys.token(uid))
                pipe.get(keys.endpoints(uid))
                pipe.get(keys.health(uid))
                raw, left_ms, endpoints, fault = await pipe.execute()
        except (RedisError, OSError):
            return Shelf(away=True, endpoints=Endpoints(fingerprint=mark))
        return Shelf(
            token=_open(raw, left_ms, uid=uid, mark=mark),
            endpoints=discovery.parse(endpoints, fingerprint=mark),
            fault=health.parse(fault),
        )

    async def put(
        self, connection: ConnectionSpec, *, mark: str, value: str, lifetime_s: float, endpoints: Endpoints
    ) -> None:
        """Share a new token, and that the connection works."""
        if self._client is None:
            return
        uid = connection.uid
        plain = FORM.dump({"value": value, "api_base": endpoints.api_base, "lifetime_s": lifetime_s, "mark": mark})
        sealed = _mark(value) + secrets.seal(plain, purpose=f"token:{uid}")
        try:
            async with self._client.pipeline(transaction=False) as pipe:
                pipe.set(keys.token(uid), sealed, px=max(1, int(lifetime_s * 1000)))
                pipe.set(keys.endpoints(uid), endpoints.dump(), ex=discovery.KEEP_S)
                pipe.delete(keys.health(uid))
                await pipe.execute()
        except (RedisError, OSError):
            _log.warning("connection %s: the new token could not be shared; the store is unavailable", connection.name)

    async def drop(self, connection: ConnectionSpec, value: str) -> None:
        """Take this very token away; one that replaced it meanwhile stays."""
        await self._delete_if(keys.token(connection.uid), _mark(value))

    @asynccontextmanager
    async def renewing(self, connection: ConnectionSpec) -> AsyncIterator[bool]:
        """Become the one who renews, for as long as the block takes; False when somebody else is."""
        if self._client is None:
            yield True
            return
        lock = Lock(self._client, keys.token_lock(connection.uid), timeout=LOCK_S, blocking=False, thread_local=False)
        receipt = random_secrets.token_hex(16)
        ours = await _acquired(lock, receipt)
        try:
            yield ours
        finally:
            if ours:
                await _release(lock, receipt)

    async def note(self, connection: ConnectionSpec, fault: ConnectionFault | None) -> None:
        """Record a fault for everybody, or with None that it is over."""
        await health.record(self._client, connection.uid, fault)

    async def _delete_if(self, key: str, start: str) -> None:
        if self._client is None:
            return
        try:
            await _DELETE(self._client, (key,), start)
        except (RedisError, OSError):
            _log.warning("the store is unavailable; %s was not deleted", key)


async def _acquired(lock: Lock, receipt: str) -> bool:
    try:
        return bool(await lock.acquire(token=receipt))
    except (RedisError, OSError):
        return True


async def _release(lock: Lock, receipt: str) -> None:
    """With the receipt, not with what the lock remembers: the store may have taken it and its reply was lost."""
    try:
        await lock.do_release(receipt.encode())
    except LockNotOwnedError:  # it took too long, and another renews
        pass
    except (RedisError, OSError):
        _log.warning("the store is unavailable; %s was not released", lock.name)


def _open(raw: bytes | str | None, left_ms: int, *, uid: str, mark: str) -> StoredToken | None:
    if not raw or left_ms <= 0:
        return None
    text = raw.decode() if isinstance(raw, bytes) else raw
    try:
        issued_for, token = FORM.load(secrets.unseal(text.partition(".")[2], purpose=f"token:{uid}"))
    except (secrets.SecretUnreadable, ValueError):
        return None
    return replace(token, left_s=left_ms / 1000) if issued_for == mark else None
