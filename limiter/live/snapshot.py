"""What a worker decides from: tenants, keys and policies in memory, loaded on first use and replaced when edited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from django.conf import settings

from limiter.live.aside import Aside
from limiter.live.entries import TenantEntry
from limiter.live.flights import Flights, TooManyFlights
from limiter.live.follow import Follower
from limiter.live.held import STALE, Affected, Held, Missing
from limiter.live.loader import DirectoryUnavailable, Fetched, Loader
from limiter.live.second_level import SecondLevel, Touched
from tenants.changes import Topic, Touch
from tenants.directory import KeySpec

__all__ = ["DirectoryUnavailable", "Missing", "Snapshot", "TenantEntry"]

K = TypeVar("K", int, str)
T = TypeVar("T")
_MOST_LOADS = 512
_BATCH = 100
_ATTEMPTS = 5
_RETRY_SECONDS = 10.0


class Snapshot:
    """Belongs to one event loop. What is held is there without waiting; what is not is loaded in threads.

    Everything held keeps serving, for ever if need be, while cache and database are away.
    """

    def __init__(
        self, *, capacity: int, second: SecondLevel | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._touched = Touched()
        self._loader = Loader(second=second or SecondLevel(), touched=self._touched)
        self._held = Held(capacity=capacity, touched=self._touched)
        # Callers choose what keys they try: they must not crowd out the loading of tenants.
        self._tenants, self._keys, self._policies = (Flights(most=_MOST_LOADS) for _ in range(3))
        self._aside = Aside(4, name="snapshot")
        self._follower = Follower(self._apply, start_over=self._touched.start_from, url=settings.REDIS_URL, clock=clock)
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
        """Whether callers can be told apart here: the database was read once, or the cache in its place."""
        return self._follower.looked_seconds_ago() is not None or self._held.shelf.default_seq is not None

    async def warm(self) -> None:
        """Load what every call needs; raises :class:`DirectoryUnavailable`. With the database away the cache may do."""
        await self._join(self._policies, 0, self._bring_default)

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
        return await self._join(self._tenants, tenant_id, self._bring_tenant)

    async def key(self, prefix: str) -> KeySpec | Missing:
        """The key, or that there is none; raises :class:`DirectoryUnavailable`."""
        held = self.held_key(prefix)
        return held if held is not None else await self._join(self._keys, prefix, self._bring_key)

    async def preload(self, tenant_ids: Sequence[str]) -> None:
        """Load many tenants with few queries, so that their first calls wait for nothing."""
        for names in _batches(tenant_ids):
            await self._bring_tenants(names)

    async def follow(self, stop: asyncio.Event) -> None:
        """Keep what is held up to date until ``stop`` is set."""
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
            "looked_seconds_ago": self._follower.looked_seconds_ago(),
            "tenants": len(held.tenants),
            "keys": len(held.keys),
            "policies": len(held.shelf.held),
            "loading": len(self._tenants) + len(self._keys),
            "problems": self.problems,
        }

    async def close(self) -> None:
        """Stop loading; what is held can still be read."""
        for flights in (self._tenants, self._keys, self._policies):
            await flights.close()
        await self._follower.close()
        await self._aside.close()

    async def _join(self, flights: Flights, name: K, bring: Callable[[K], Coroutine[Any, Any, T]]) -> T:
        try:
            return await flights.join(name, partial(bring, name))
        except TooManyFlights as error:
            raise DirectoryUnavailable(f"too much is being loaded: {error}") from error

    async def _bring_tenant(self, name: str) -> TenantEntry | None:
        await self._bring_tenants([name])
        entry = self._held.tenants.get(name)
        if entry is None and (problem := self._held.problems.get(("tenant", name))):
            raise DirectoryUnavailable(problem)
        return entry

    async def _bring_key(self, prefix: str) -> KeySpec | Missing:
        await self._bring([prefix], self._loader.keys, self._held.adopt_key)
        return self.held_key(prefix) or Missing.MISSING

    async def _bring_policy(self, policy_id: int) -> None:
        await self._bring([policy_id], self._loader.policies, self._held.adopt_policy)

    async def _bring_default(self, _: int) -> None:
        def load(names: Collection[int]) -> dict[int, Fetched[int]]:
            return {name: self._loader.default() for name in names}

        async def hold_policy(found: Collection[Fetched[int]]) -> None:
            for fetched in found:
                while fetched.value is not None and fetched.value not in self._held.shelf.held:
                    await self._join(self._policies, fetched.value, self._bring_policy)

        await self._bring([0], load, lambda _, fetched: self._held.adopt_default(fetched), first=hold_policy)

    async def _bring_tenants(self, names: Collection[str]) -> None:
        await self._bring(names, self._loader.tenants, self._held.adopt_tenant, first=self._hold_policies_of)

    async def _hold_policies_of(self, found: Collection[Fetched[Any]]) -> None:
        """A tenant is seen with its policies or not at all."""
        if self._held.shelf.default_seq is None:
            await self._join(self._policies, 0, self._bring_default)
        while missing := self._held.missing_policies(found):
            await asyncio.gather(*(self._join(self._policies, id_, self._bring_policy) for id_ in missing))

    async def _bring(
        self,
        names: Collection[K],
        load: Callable[[Collection[K]], dict[K, Fetched[T]]],
        adopt: Callable[[K, Fetched[T]], bool],
        *,
        first: Callable[[Collection[Fetched[T]]], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        """Load and adopt all of these; what is edited meanwhile is loaded again."""
        for _ in range(_ATTEMPTS):
            found = await self._aside.run(load, names)
            if first is not None:
                await first(found.values())
            outdated = [name for name, fetched in found.items() if not adopt(name, fetched)]
            if len(found) < len(names):
                raise DirectoryUnavailable("the directory cannot be reached at the moment")
            if not outdated:
                return
            names = outdated
        raise DirectoryUnavailable("the directory is being edited faster than it can be loaded")

    async def _apply(self, touched: Mapping[Touch, int], floor: int) -> None:
        """Take in these changes; ``floor``: whatever is older than that change is to be loaded again."""
        self._touched.note(touched)
        topics = {touch.topic for touch in touched}
        if floor > STALE or topics & {Topic.TENANT, Topic.KEY}:
            self._held.forget_unknown(max(touched.values(), default=floor))
        stale, self._held.stale = self._held.stale, False
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
            await self._bring(affected.policies, self._loader.policies, self._held.adopt_policy)
        if affected.default:
            await self._bring_default(0)
        if affected.connections:
            await self._bring(affected.connections, self._loader.connections, self._held.adopt_connection)
            await self._reconnect(affected.connections)
        for names in _batches(affected.tenants):
            await self._bring_tenants(names)
        for prefixes in _batches(affected.keys):
            await self._bring(prefixes, self._loader.keys, self._held.adopt_key)


def _batches(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[at : at + _BATCH] for at in range(0, len(names), _BATCH)]
