"""A worker's parts, opened when its server starts and closed when it stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import redis.asyncio
from django.conf import settings
from redis.exceptions import RedisError

from limiter import clients
from limiter.core.peers import EVERY_S, Peers
from limiter.core.store import Store
from limiter.gateway import queue_state
from limiter.gateway.assessor import Assessor
from limiter.gateway.decisions import Decisions
from limiter.gateway.gate import Gateway
from limiter.gateway.heartbeat import Heartbeat
from limiter.gateway.learner import Learner
from limiter.gateway.overdue import Overdue
from limiter.gateway.paces import Paces
from limiter.gateway.pauses import Pauses
from limiter.gateway.queue_state import QueueState
from limiter.gateway.recorder import Recorder
from limiter.gateway.retries import Retries
from limiter.gateway.waiting import WaitBounds, Waiting
from limiter.live.snapshot import Snapshot
from limiter.outage.local import LocalShare
from limiter.stores import server_settings
from limiter.stores.pool import Link
from limiter.stores.server_settings import Server
from limiter.upstream import health
from limiter.upstream.call import Upstream
from limiter.upstream.client import Client
from limiter.upstream.dedupe import Dedupe
from limiter.upstream.health import ConnectionFault
from quota_platform.base.failures import Failures

log = logging.getLogger(__name__)
_PEEKS = 10
"""Actions that ``/limits`` looks at at a time, of all its callers: calls get their turn between them."""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """What the gateway's views need to know."""

    legacy_headers: bool = False
    failed_keys_per_minute: int = 60
    wait_bounds: WaitBounds = field(default_factory=WaitBounds)

    @classmethod
    def from_env(cls) -> GatewaySettings:
        env = settings.ENV
        return cls(
            legacy_headers=env.LEGACY_RATELIMIT_HEADERS,
            failed_keys_per_minute=env.MAX_FAILED_KEYS_PER_MINUTE,
            wait_bounds=WaitBounds(env.MAX_WAIT_SECONDS, env.MAX_WAITING_CALLS, env.MAX_WAITING_CALLS_PER_KEY),
        )


class Runtime:
    """Everything one worker serves calls with. Build it inside the running event loop."""

    def __init__(
        self,
        *,
        store: Store,
        snapshot: Snapshot,
        upstream: Upstream,
        gateway_settings: GatewaySettings,
        peers: Peers,
        beat_every_s: float = EVERY_S,
        side: redis.asyncio.Redis | None = None,
        wakes: redis.asyncio.Redis | None = None,
        shared: Link | None = None,
        paces: Paces | None = None,
    ) -> None:
        self.store = store
        self.snapshot = snapshot
        self.upstream = upstream
        self.settings = gateway_settings
        self.assessor = Assessor(store)
        learner = Learner(store)
        self.gateway = Gateway(
            store=store,
            snapshot=snapshot,
            upstream=upstream,
            local=LocalShare(peers),
            recorder=Recorder(store, self.assessor, learner),
            learner=learner,
            overdue=Overdue(store, self.assessor),
            dedupe=Dedupe(side),
            failed_keys=Failures(most=gateway_settings.failed_keys_per_minute),
            waiting=Waiting(gateway_settings.wait_bounds, wakes=wakes),
            paces=paces,
        )
        self.decisions = Decisions()
        self.peeks = asyncio.Semaphore(_PEEKS)
        self.peers = peers
        self.heartbeat = Heartbeat(self.gateway, peers, every_s=beat_every_s)
        self._side = side
        self._shared = shared
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    def from_settings(cls) -> Runtime:
        """The parts that the settings switch on."""
        env = settings.ENV
        side = clients.async_client()
        store = clients.store()
        paces, peers = Paces(store), Peers(expected=env.LIMITER_EXPECTED_PROCESSES)
        return cls(
            store=store,
            snapshot=Snapshot(capacity=env.SNAPSHOT_TENANTS),
            upstream=Client(
                redis=side,
                pool_size=env.UPSTREAM_POOL_SIZE,
                sandbox_hosts=env.SANDBOX_HOSTS,
                pushed_back=Pauses(store, paces).note,
                draws=Retries(store, peers),
            ),
            gateway_settings=GatewaySettings.from_env(),
            peers=peers,
            side=side,
            wakes=clients.wakes_client(),
            shared=clients.shared_link(),
            paces=paces,
        )

    def connections_used(self) -> dict[str, str]:
        """The connections that this worker has sent calls to: their names by uid."""
        return {uid: seen.name for uid, seen in self.upstream.units().items()}

    async def faults(self, names: Mapping[str, str]) -> dict[str, ConnectionFault] | None:
        """Those of these connections, named by uid, that cannot be used now, by name; None when nobody can tell."""
        if self._side is None:
            return None
        try:
            found = await health.read_async(self._side, names) if names else {}
        except (RedisError, OSError):
            return None
        return {names[uid]: fault for uid, fault in found.items()}

    async def queue(self) -> QueueState | None:
        """What waits for Celery; None when nobody can tell."""
        try:
            return None if self._side is None else await queue_state.look(self._side, now=time.time())
        except (RedisError, OSError):
            return None

    async def servers(self) -> list[Server]:
        """How the servers that the platform uses are set up."""
        return await server_settings.look(self.store.link, self._shared)

    async def open(self) -> None:
        """Connect, and start to follow edits. A store or database that is unavailable does not stop the start."""
        await self.store.open()
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self.snapshot.follow(self._stop)),
            loop.create_task(self.heartbeat.beat(self._stop)),
            loop.create_task(self.assessor.look(self._stop)),
            loop.create_task(self.gateway.demand.send_often(self._stop)),
            loop.create_task(self._warn_of_the_store()),
        ]

    async def _warn_of_the_store(self) -> None:
        """Say what may be lost by how the servers are set up. One that is unavailable is not asked again."""
        for warning in server_settings.warnings(await self.servers()):
            log.warning("%s", warning)

    async def close(self) -> None:
        """Let running calls end, then close every connection."""
        self.gateway.waiting.stop()
        self._stop.set()
        _, late = await asyncio.wait(self._tasks, timeout=5) if self._tasks else (set(), set())
        for task in late:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.gateway.close()
        await self.decisions.close()
        await self.snapshot.close()
        await self.upstream.close()
        await self.store.close()
        if self._shared is not None:
            await self._shared.close()
        if self._side is not None:
            await self._side.aclose()
