"""Who calls: from the key a request presents to the tenant it acts for."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from typing import NamedTuple, Protocol

from limiter.core.types import ServiceClass
from limiter.gateway import problems
from limiter.gateway.problems import GatewayProblem
from limiter.live.snapshot import DirectoryUnavailable, Missing, Snapshot, TenantEntry
from quota_platform.base.failures import Failures
from tenants import credentials
from tenants.directory import KeySpec
from tenants.models.names import is_name

_NOBODY = hashlib.sha256(secrets.token_bytes(32)).hexdigest()
"""What an unknown key is compared with, so that it takes as long as a known one."""
_EVERYBODY = ""
_FAILED_LOOK_UPS = 20
"""A second, of everybody: keys that were looked up in vain. Beyond it only marked keys and those held are served."""
_UNPROVEN = 16
"""Keys that may be made up and are looked up at a time; others wait, and are refused should these fail too often."""


class Source(Protocol):
    """Where a call comes from; asked only about a key that may be none."""

    @property
    def caller_address(self) -> str: ...


class Caller(NamedTuple):
    """Who calls: the prefix of the key that was presented ("" for a signed-in person), and for which tenant.

    ``max_class``: the highest class that the key gives its calls in shared limits.
    """

    key_prefix: str
    entry: TenantEntry
    max_class: str = ServiceClass.CRITICAL


class Callers:
    """Tells callers apart by what the snapshot holds. ``clock`` gives epoch seconds.

    ``failed``: by address; ``failed_look_ups``: of everybody together.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        failed: Failures,
        clock: Callable[[], float],
        failed_look_ups: Failures | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._clock = clock
        self._looking_up = asyncio.Semaphore(_UNPROVEN)
        self._failed_look_ups = failed_look_ups or Failures(most=_FAILED_LOOK_UPS, seconds=1)
        self.failed = failed

    def held(self, token: str, tenant_id: str) -> Caller | None:
        """The same as :meth:`identify`, if it needs not wait; None: ask that, which also names the fault."""
        prefix = credentials.prefix_of(token)
        known = None if prefix is None else self._snapshot.held_key(prefix)
        key = None if known is None else self._valid(token, known)
        if key is None:
            return None
        if key.tenant_id is None:
            wanted = tenant_id if self._snapshot.held_grant(key.id, tenant_id) else ""
        else:
            wanted = key.tenant_id if tenant_id in ("", key.tenant_id) else ""
        entry = self._snapshot.held_tenant(wanted) if wanted else None
        return Caller(key.prefix, entry, key.max_class) if entry is not None and entry.tenant.active else None

    async def identify(self, token: str, tenant_id: str, source: Source) -> Caller:
        """Who presents ``token``, acting for ``tenant_id`` ("" when the call does not say); raises Problem."""
        key = await self._key(token, source)
        wanted = await self._tenant_of(key, tenant_id)
        entry = await self._entry(wanted) if wanted else None
        if entry is None:
            raise GatewayProblem(403, "forbidden", "This key may not act for that tenant.")
        return Caller(key.prefix, _active(entry), key.max_class)

    def again(self, caller: Caller) -> Caller:
        """A caller some time later: key and tenant as they are held now; raises Problem when it may call no more."""
        key = self._snapshot.held_key(caller.key_prefix)
        if isinstance(key, KeySpec):
            if key.revoked or self._has_expired(key):
                raise problems.unauthorized()
            caller = caller._replace(max_class=key.max_class)
        held = self._snapshot.held_tenant(caller.entry.tenant.tenant_id)
        return caller if held is None else caller._replace(entry=_active(held))

    async def on_behalf(self, tenant_id: str) -> Caller:
        """A tenant as seen by somebody who may look at it without a key; raises Problem."""
        entry = await self._entry(tenant_id)
        if entry is None:
            raise GatewayProblem(404, "not-found", "There is no such tenant.")
        return Caller("", entry)

    async def _key(self, token: str, source: Source) -> KeySpec:
        if not token:
            raise problems.unauthorized()
        prefix = credentials.prefix_of(token)
        if prefix is not None:
            key = self._snapshot.held_key(prefix)
            if key is None and credentials.is_intact(token):
                if not credentials.is_marked(token):
                    return await self._unproven_key(token, prefix, source)
                key = await self._looked_up(prefix)
            if (valid := self._valid(token, key)) is not None:
                return valid
        address = source.caller_address
        self._check_failures(address)
        self.failed.note(address)
        raise problems.unauthorized()

    async def _unproven_key(self, token: str, prefix: str, source: Source) -> KeySpec:
        """A key that may be made up: looked up only while its caller, and all callers, have not failed too often."""
        address = source.caller_address
        self._check_look_ups(address)
        async with self._looking_up:
            self._check_look_ups(address)  # those before it may have failed meanwhile
            valid = self._valid(token, await self._looked_up(prefix))
            if valid is not None:
                return valid
            self._failed_look_ups.note(_EVERYBODY)
            self.failed.note(address)
        raise problems.unauthorized()

    def _check_look_ups(self, address: str) -> None:
        if self._failed_look_ups.wait_us(_EVERYBODY):
            raise _unavailable(DirectoryUnavailable("too many unknown keys are being looked up"))
        self._check_failures(address)

    def _check_failures(self, address: str) -> None:
        if wait_us := self.failed.wait_us(address):
            self.failed.refuse()
            raise problems.too_many_failed_keys(wait_us)

    async def _looked_up(self, prefix: str) -> KeySpec | Missing:
        try:
            return await self._snapshot.key(prefix)
        except DirectoryUnavailable as error:
            raise _unavailable(error) from error

    def _valid(self, token: str, key: KeySpec | Missing | None) -> KeySpec | None:
        """The key, when the token is its and it may be used now."""
        same = credentials.matches(token, key.digest if isinstance(key, KeySpec) else _NOBODY)
        if not isinstance(key, KeySpec) or not same or key.revoked:
            return None
        return None if self._has_expired(key) else key

    def _has_expired(self, key: KeySpec) -> bool:
        return key.expires_at is not None and key.expires_at <= self._clock()

    async def _tenant_of(self, key: KeySpec, named: str) -> str:
        """The tenant the key acts for; "" when it may not act for the one that was named."""
        if key.tenant_id is not None:
            return key.tenant_id if named in ("", key.tenant_id) else ""
        if not named:
            raise GatewayProblem(400, "tenant-required", "A platform key has to name its tenant in X-Tenant-Id.")
        granted = self._snapshot.held_grant(key.id, named)
        if granted is None:
            if not is_name(named):
                return ""
            try:
                granted = await self._snapshot.grant(key.id, named)
            except DirectoryUnavailable as error:
                raise _unavailable(error) from error
        return named if granted else ""

    async def _entry(self, tenant_id: str) -> TenantEntry | None:
        held = self._snapshot.held_tenant(tenant_id)
        if held is not None:
            return held
        try:
            return await self._snapshot.tenant(tenant_id)
        except DirectoryUnavailable as error:
            raise _unavailable(error) from error


def _active(entry: TenantEntry) -> TenantEntry:
    if not entry.tenant.active:
        raise GatewayProblem(403, "tenant-suspended", f"Tenant {entry.tenant.tenant_id} is suspended.")
    return entry


def _unavailable(error: DirectoryUnavailable) -> GatewayProblem:
    return GatewayProblem(503, "directory-unavailable", str(error), retry_after_us=1_000_000)
