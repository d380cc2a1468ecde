"""What a worker decides from: tenants, keys and policies in memory, loaded on first use and replaced when edited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from django.conf import settings

from limiter.live.batches import Batches, TooManyWaiting
from limiter.live.cache import STALE, Affected, Cache, Missing
from limiter.live.change_feed import Follower
from limiter.live.loader import DirectoryUnavailable, Fetched, Loader, grant_name, tenant_of_grant
from limiter.live.queries import Aside
from limiter.live.shared_cache import SecondLevel, Touched
from limiter.policies.effective import TenantEntry, TenantRules
from quota_platform.base.changes import Topic, Touch
from tenants.directory import KeySpec

__all__ = ["DirectoryUnavailable", "Missing", "Snapshot", "TenantEntry"]

K = TypeVar("K", int, str)
T = TypeVar("T")
_MAX_WAITING = 4096
_BATCH = 100
_SESSIONS = 2
"""Database sessions that one worker loads over, kept open."""
_ATTEMPTS = 5
_RETRY_SECONDS = 10.0
_UNAVAILABLE = "the directory cannot be reached at the moment"
_RESTLESS = "the directory is being edited faster than it can be loaded"


class Snapshot:
    """Belongs to one event loop. Held entries are there without waiting; others are loaded in threads.

    Everything held keeps serving, for ever if need be, while cache and database are unavailable.
    """

    def __init__(
        self, *, capacity: int, second: SecondLevel | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._touched = Touched()
        self._loader = Loader(second=second or SecondLevel(), touched=self._touched)
        self._held = Cache(capacity=capacity, touched=self._touched)
        # Callers choose the keys they try: they must not crowd out the loading of tenants. And one load
        # must not push itself out of memory again.
        size = min(_BATCH, capacity)
        self._tenants = Batches(self._load_tenants, size=size, most=_MAX_WAITING)
        self._keys = Batches(self._load_keys, size=size, most=_MAX_WAITING)
        self._grants = Batches(self._load_grants, size=size, most=_MAX_WAITING)
        self._policies = Batches(self._load_policies, size=_BATCH, most=_MAX_WAITING)
        self._default = Batches(self._load_default, size=1, most=1)
        self._aside = Aside(_SESSIONS, name="snapshot", keep=True)
        self._follower = Follower(
            self._apply,
            saw=self._touched.saw,
            start_over=self._touched.start_from,
            url=settings.REDIS_URL,
            clock=clock,
        )
        self._retry_at = 0.0

    @property
    def seq(self) -> int:
        """The change up to which everything held here includes every edit."""
        return self._follower.seq

    @property
    def problems(self) -> dict[str, str]:
        """What in the database cannot be used, by name; the last good version serves in its place, if there is one."""
        return {f"{kind} {name}": problem for (kind, name), problem in self._held.problems.items()}

    @property
    def serves(self) -> bool:
        """Whether this worker can identify callers: it has read the database once, or the cache in its place."""
        return self._follower.looked_seconds_ago() is not None or self._held.shelf.default_seq is not None

    async def warm(self) -> None:
        """Load what every call needs; raises :class:`DirectoryUnavailable`. With the database away the cache may do."""
        await _join(self._default, 0)

    def held_tenant(self, tenant_id: str) -> TenantEntry | None:
        """The tenant, if it is held."""
        return self._held.tenants.get(tenant_id)

    def held_key(self, prefix: str) -> KeySpec | Missing | None:
        """The key, or that there is none; None: not held, ask :meth:`key`."""
        held = self._held.keys.get(prefix)
        if held is not None:
            return held[0]
        return Missing.MISSING if prefix in self._held.unknown_keys else None

    async def tenant(self, tenant_id: str) -> TenantEntry | None:
        """The tenant, or None when there is none of this id; raises :class:`DirectoryUnavailable`."""
        held = self._held.tenants.get(tenant_id)
        if held is not None or tenant_id in self._held.unknown_tenants:
            return held
        return await _join(self._tenants, tenant_id)

    async def key(self, prefix: str) -> KeySpec | Missing:
        """The key, or that there is none; raises :class:`DirectoryUnavailable`."""
        held = self.held_key(prefix)
        return held if held is not None else await _join(self._keys, prefix)

    def held_grant(self, key_id: int, tenant_id: str) -> bool | None:
        """Whether a platform key may act for a tenant; None: not held, ask :meth:`grant`."""
        held = self._held.grants.get(grant_name(key_id, tenant_id))
        return None if held is None else held[0]

    async def grant(self, key_id: int, tenant_id: str) -> bool:
        """Whether a platform key may act for a tenant; raises :class:`DirectoryUnavailable`."""
        held = self.held_grant(key_id, tenant_id)
        return held if held is not None else await _join(self._grants, grant_name(key_id, tenant_id))

    async def preload(self, tenant_ids: Sequence[str]) -> None:
        """Load many tenants with few queries, so that their first calls wait for nothing."""
        for names in _batches(tenant_ids):
            _raise_any(await self._bring_tenants(names))

    async def follow(self, stop: asyncio.Event) -> None:
        """Keep held entries up to date until ``stop`` is set."""
        await self._follower.run(stop)

    async def look(self) -> None:
        """Take in the edits since the last look, now; :meth:`follow` does this when the bell rings, or each second."""
        await self._follower.look()

    async def reached(self, seq: int) -> None:
        """Wait until change ``seq`` is in force here, while somebody follows."""
        await self._follower.reached(seq)

    def status(self) -> dict[str, Any]:
        """For readiness, metrics and the heartbeat. ``looked_seconds_ago`` is None before the first look."""
        held = self._held
        return {
            "seq": self.seq,
            "applied": list(self._follower.applied),
            "looked_seconds_ago": self._follower.looked_seconds_ago(),
            "tenants": len(held.tenants),
            "keys": len(held.keys),
            "policies": len(held.shelf.held),
            "loading": len(self._tenants) + len(self._keys) + len(self._grants),
            "problems": self.problems,
        }

    async def close(self) -> None:
        """Stop loading; held entries can still be read."""
        for batches in (self._tenants, self._keys, self._grants, self._policies, self._default):
            await batches.close()
        await self._follower.close()
        await self._aside.close()

    async def _load_tenants(self, names: Sequence[str]) -> dict[str, TenantEntry | DirectoryUnavailable | None]:
        failed = await self._bring_tenants(names)
        return {name: self._tenant_or_problem(name) for name in names} | failed

    async def _bring_tenants(self, names: Collection[str]) -> dict[str, DirectoryUnavailable]:
        return await self._bring(names, self._loader.tenants, self._held.adopt_tenant, first=self._hold_policies_of)

    def _tenant_or_problem(self, name: str) -> TenantEntry | DirectoryUnavailable | None:
        entry = self._held.tenants.get(name)
        if entry is None and (problem := self._held.problems.get(("tenant", name))):
            return DirectoryUnavailable(problem)
        return entry

    async def _load_keys(self, prefixes: Sequence[str]) -> dict[str, KeySpec | Missing | DirectoryUnavailable]:
        failed = await self._bring(prefixes, self._loader.keys, self._held.adopt_key)
        keys = {prefix: self.held_key(prefix) or Missing.MISSING for prefix in prefixes}
        await self._bring_next(key.tenant_id for key in keys.values() if isinstance(key, KeySpec) and key.tenant_id)
        return keys | failed

    async def _load_grants(self, names: Sequence[str]) -> dict[str, bool | DirectoryUnavailable]:
        failed = await self._bring(names, self._loader.grants, self._held.adopt_grant)
        granted = {name: self._held.granted(name) for name in names}
        await self._bring_next(tenant_of_grant(name) for name, may in granted.items() if may)
        return granted | failed

    async def _bring_next(self, tenant_ids: Iterable[str]) -> None:
        """Load the tenants that their callers ask for next, in the same go: they need not gather a second time.

        A failure is left to the caller who asks.
        """
        missing = {name for name in tenant_ids if name not in self._held.tenants}
        if missing:
            await self._bring_tenants(missing)

    async def _load_policies(self, ids: Sequence[int]) -> dict[int, DirectoryUnavailable | None]:
        failed = await self._bring(ids, self._loader.policies, self._held.adopt_policy)
        return {policy_id: failed.get(policy_id) for policy_id in ids}

    async def _load_default(self, names: Sequence[int]) -> dict[int, DirectoryUnavailable | None]:
        def load(names: Collection[int]) -> dict[int, Fetched[int]]:
            return {name: self._loader.default() for name in names}

        async def hold_policy(found: Mapping[int, Fetched[int]]) -> dict[int, DirectoryUnavailable]:
            for fetched in found.values():
                while fetched.value is not None and fetched.value not in self._held.shelf.held:
                    await _join(self._policies, fetched.value)
            return {}

        failed = await self._bring(names, load, lambda _, fetched: self._held.adopt_default(fetched), first=hold_policy)
        return {name: failed.get(name) for name in names}

    async def _hold_policies_of(self, found: Mapping[str, Fetched[TenantRules]]) -> dict[str, DirectoryUnavailable]:
        """A tenant is seen with its policies or not at all; why not which."""
        if self._held.shelf.default_seq is None:
            await self.warm()
        while missing := self._held.missing_policies(found.values()):
            brought = zip(missing, await asyncio.gather(*map(self._policies.join, missing)), strict=True)
            if failed := {policy_id: error for policy_id, error in brought if error is not None}:
                error = next(iter(failed.values()))
                lacking = [
                    name for name, each in found.items() if each.value and each.value.policy_ids() & failed.keys()
                ]
                return dict.fromkeys(lacking, error)
        return {}

    async def _bring(
        self,
        names: Collection[K],
        load: Callable[[Collection[K]], dict[K, Fetched[T]]],
        adopt: Callable[[K, Fetched[T]], bool],
        *,
        first: Callable[[Mapping[K, Fetched[T]]], Coroutine[Any, Any, Mapping[K, DirectoryUnavailable]]] | None = None,
    ) -> dict[K, DirectoryUnavailable]:
        """Load and adopt these, and report those that failed; entries edited meanwhile are loaded again."""
        failed: dict[K, DirectoryUnavailable] = {}
        for _ in range(_ATTEMPTS):
            found = await self._aside.run(load, names)
            if first is not None:
                failed |= await first(found)
            outdated = [name for name, fetched in found.items() if name not in failed and not adopt(name, fetched)]
            failed |= {name: DirectoryUnavailable(_UNAVAILABLE) for name in names if name not in found}
            if not outdated:
                return failed
            names = outdated
        return failed | {name: DirectoryUnavailable(_RESTLESS) for name in names}

    async def _apply(self, touched: Mapping[Touch, int], floor: int) -> None:
        """Take in these changes; ``floor``: whatever is older than that change is to be loaded again."""
        self._touched.note(touched)
        topics = {touch.topic for touch in touched}
        if floor > STALE or topics & {Topic.TENANT, Topic.KEY}:
            self._held.forget_unknown(max(touched.values(), default=floor))
        stale, self._held.stale = self._held.stale, False
        if stale or floor > STALE:
            self._held.grants.clear()
        else:
            self._held.forget_grants({touch.entity_id for touch in touched if touch.topic == Topic.KEY})
        try:
            await self._reload(self._held.affected(touched, floor=max(floor, 0) if stale else floor))
            await self._retry()
        except BaseException:
            self._held.stale = True
            raise
        await self._reconnect({touch.entity_id for touch in touched if touch.topic == Topic.CONNECTION})
        self._held.sweep()

    async def _reconnect(self, connection_ids: Collection[int]) -> None:
        if connection_ids:
            for _ in self._held.reconnect(connection_ids):
                await asyncio.sleep(0)

    async def _retry(self) -> None:
        """What cannot be used may have been repaired the way it was broken: without a change being noted."""
        if self._held.problems and self._clock() >= self._retry_at:
            self._retry_at = self._clock() + _RETRY_SECONDS
            await self._reload(self._held.doubtful())

    async def _reload(self, affected: Affected) -> None:
        """Policies before the tenants under them. Tenants and keys in batches, one after another: others load too."""
        if affected.policies:
            _raise_any(await self._load_policies(affected.policies))
        if affected.default:
            _raise_any(await self._load_default([0]))
        if affected.connections:
            _raise_any(await self._bring(affected.connections, self._loader.connections, self._held.adopt_connection))
            await self._reconnect(affected.connections)
        for names in _batches(affected.tenants):
            _raise_any(await self._bring_tenants(names))
        for prefixes in _batches(affected.keys):
            _raise_any(await self._load_keys(prefixes))


def _raise_any(brought: Mapping[Any, object]) -> None:
    for outcome in brought.values():
        if isinstance(outcome, DirectoryUnavailable):
            raise outcome


def _batches(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[at : at + _BATCH] for at in range(0, len(names), _BATCH)]


async def _join(batches: Batches[K, T | DirectoryUnavailable], name: K) -> T:
    try:
        found = await batches.join(name)
    except TooManyWaiting as error:
        raise DirectoryUnavailable(f"too much is being loaded: {error}") from error
    if isinstance(found, DirectoryUnavailable):
        raise found
    return found
