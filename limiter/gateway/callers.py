"""Who calls: from the key a request presents to the tenant it acts for."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import NamedTuple

from limiter.gateway import problems
from limiter.gateway.problems import Problem
from limiter.live.snapshot import DirectoryUnavailable, Snapshot, TenantEntry
from tenants import credentials
from tenants.directory import KeySpec

_NOBODY = hashlib.sha256(secrets.token_bytes(32)).hexdigest()
"""What an unknown key is compared with, so that it takes as long as a known one."""


class Caller(NamedTuple):
    """Who calls: the prefix of the key that was presented ("" for a signed-in person), and for which tenant."""

    key_prefix: str
    entry: TenantEntry


class Callers:
    """Tells callers apart by what the snapshot holds. ``clock`` gives epoch seconds."""

    def __init__(self, snapshot: Snapshot, *, clock: Callable[[], float]) -> None:
        self._snapshot = snapshot
        self._clock = clock

    async def identify(self, token: str, tenant_id: str) -> Caller:
        """Who presents ``token``, acting for ``tenant_id`` ("" when the call does not say); raises Problem."""
        key = await self._key(token)
        wanted = _tenant_of(key, tenant_id)
        entry = await self._entry(wanted) if wanted else None
        if entry is None:
            raise Problem(403, "forbidden", "This key may not act for that tenant.")
        if not entry.tenant.active:
            raise Problem(403, "tenant-suspended", f"Tenant {entry.tenant.tenant_id} is suspended.")
        return Caller(key.prefix, entry)

    async def on_behalf(self, tenant_id: str) -> Caller:
        """A tenant as seen by somebody who may look at it without a key; raises Problem."""
        entry = await self._entry(tenant_id)
        if entry is None:
            raise Problem(404, "not-found", "There is no such tenant.")
        return Caller("", entry)

    async def _key(self, token: str) -> KeySpec:
        prefix = credentials.prefix_of(token) if token else None
        if prefix is None:
            raise problems.unauthorized()
        key = self._snapshot.held_key(prefix)
        if key is None:
            try:
                key = await self._snapshot.key(prefix)
            except DirectoryUnavailable as error:
                raise _unavailable(error) from error
        same = hmac.compare_digest(credentials.digest(token), key.digest if isinstance(key, KeySpec) else _NOBODY)
        if not isinstance(key, KeySpec) or not same or key.revoked:
            raise problems.unauthorized()
        if key.expires_at is not None and key.expires_at <= self._clock():
            raise problems.unauthorized()
        return key

    async def _entry(self, tenant_id: str) -> TenantEntry | None:
        held = self._snapshot.held_tenant(tenant_id)
        if held is not None:
            return held
        try:
            return await self._snapshot.tenant(tenant_id)
        except DirectoryUnavailable as error:
            raise _unavailable(error) from error


def _tenant_of(key: KeySpec, named: str) -> str:
    """The tenant the key acts for; "" when it may not act for the one that was named."""
    if key.tenant_id is not None:
        return key.tenant_id if named in ("", key.tenant_id) else ""
    if not named:
        raise Problem(400, "tenant-required", "A platform key has to name its tenant in X-Tenant-Id.")
    return named if named in key.acts_for else ""


def _unavailable(error: DirectoryUnavailable) -> Problem:
    return Problem(503, "directory-unavailable", str(error), retry_after_us=1_000_000)
