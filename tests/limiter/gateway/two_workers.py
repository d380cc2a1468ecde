"""Two workers of one deployment before one sandbox, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from django.conf import settings

from limiter.core.peers import Peers
from limiter.core.store import Store
from limiter.gateway.paces import Paces
from limiter.gateway.pauses import Pauses
from limiter.gateway.retries import Retries
from limiter.gateway.runtime import GatewaySettings, Runtime
from limiter.live.snapshot import Snapshot
from limiter.stores.pipeline import Address
from limiter.stores.pool import StorePool
from limiter.upstream.client import Client
from limiter.upstream.clock import Clock
from quota_platform import lean_urls
from quota_platform.sandbox import Running, running_in_thread
from tenants.models import Connection
from tests.asgi import Answered, Caller
from tests.limiter import patient
from tests.limiter.core.given import PATIENT


@contextmanager
def sandbox_behind(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A sandbox that the connection leads to, without repeats."""
    with running_in_thread(clients={"demo-client": "canary-client-secret"}) as started:
        monkeypatch.setattr(settings.ENV, "SANDBOX_HOSTS", [started.address])
        connection.base_url, connection.max_retries = started.base_url, 0
        connection.save()
        yield started


class TwoWorkers:
    """``pauses``: whether pushback of the upstream reaches the store. ``clock``: by which retries wait."""

    def __init__(
        self,
        key: str,
        redis_url: str,
        sandbox: Running,
        *,
        pauses: bool = False,
        count: int = 2,
        clock: Clock | None = None,
    ) -> None:
        self.key, self.sandbox, self._clock = key, sandbox, clock
        self._pauses: list[Pauses] = []
        self.runtimes = [self._runtime(redis_url, pauses=pauses) for _ in range(count)]
        app = lean_urls.handler()
        self.callers = [Caller(app, {"runtime": runtime}) for runtime in self.runtimes]

    def _runtime(self, redis_url: str, *, pauses: bool) -> Runtime:
        side, store = patient.side(), Store(StorePool(Address.from_url(redis_url), PATIENT))
        paces, peers = Paces(store), Peers(expected=2)
        self._pauses.append(Pauses(store, paces))
        return Runtime(
            store=store,
            snapshot=Snapshot(capacity=10),
            upstream=Client(
                redis=side,
                pool_size=10,
                sandbox_hosts=[self.sandbox.address],
                clock=self._clock,
                pushed_back=self._pauses[-1].note if pauses else lambda *_: None,
                draws=Retries(store, peers),
            ),
            gateway_settings=GatewaySettings(),
            peers=peers,
            side=side,
            paces=paces,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        for runtime in self.runtimes:
            await runtime.open()
        yield
        for runtime in self.runtimes:
            await runtime.close()

    async def call(self, *, worker: int = 0) -> Answered:
        """One call; its end, and the upstream's pushback, have reached the store."""
        answered = await self.callers[worker].call(
            "POST", "/invoke/lookupOrder", body=b"{}", headers=[("X-API-Key", self.key)]
        )
        await self.runtimes[worker].gateway.recorder.drain()
        await self._pauses[worker].drain()
        await self.runtimes[worker].gateway.paces.drain()
        await self.runtimes[worker].gateway.giving_back.drain()
        return answered
