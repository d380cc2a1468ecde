"""A gateway with a real store and a real snapshot, in front of an upstream that does what a test tells it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from limiter.core.peers import Peers
from limiter.core.store import Store
from limiter.gateway.runtime import GatewaySettings, Runtime
from limiter.live.snapshot import Snapshot
from limiter.stores.pipeline import Address
from limiter.stores.pool import StorePool
from limiter.upstream.call import UnitStatus, UpstreamCall, UpstreamResponse
from quota_platform import lean_urls
from quota_platform.sandbox import Running
from tenants.models import Connection
from tests.asgi import Answered, Caller
from tests.limiter import patient
from tests.limiter.core.given import PATIENT
from tests.limiter.gateway.documented import DocumentedCaller
from tests.limiter.gateway.two_workers import sandbox_behind


@dataclass
class FakeUpstream:
    """Responds as set and remembers its requests."""

    status: int = 200
    body: bytes = b'{"ok": true}'
    headers: list[tuple[str, str]] = field(default_factory=lambda: [("Content-Type", "application/json")])
    latency_us: int = 12_345
    seen: dict[str, UnitStatus] = field(default_factory=dict)
    error: Exception | None = None
    parts: list[bytes] | None = None
    broken: Exception | None = None
    held: asyncio.Event | None = None
    calls: list[UpstreamCall] = field(default_factory=list)

    async def invoke(self, call: UpstreamCall) -> UpstreamResponse:
        self.calls.append(call)
        if self.held is not None:
            await self.held.wait()
        if self.error is not None:
            raise self.error
        chunks = None if self.parts is None else self._stream(self.parts)
        body = self.body if self.parts is None else None
        return UpstreamResponse(self.status, list(self.headers), self.latency_us, body=body, chunks=chunks)

    async def _stream(self, parts: list[bytes]) -> AsyncIterator[bytes]:
        for part in parts:
            yield part
        if self.broken is not None:
            raise self.broken

    def units(self) -> dict[str, UnitStatus]:
        return self.seen

    async def close(self) -> None:
        pass


@dataclass
class Gateway:
    """The gateway under test, and how a test calls it."""

    runtime: Runtime
    upstream: FakeUpstream
    caller: Caller

    async def invoke(
        self,
        action_id: str,
        *,
        key: str = "",
        body: bytes | list[bytes] = b"{}",
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> Answered:
        given = {"Authorization": f"Bearer {key}"} if key else {}
        return await self.caller.call(
            "POST", f"/invoke/{action_id}", body=body, headers=(given | (headers or {})).items(), **more
        )

    async def recorded(self) -> None:
        """Wait until the ends of all calls have reached the store."""
        await self.runtime.gateway.recorder.drain()


@pytest.fixture
def gateway_settings() -> GatewaySettings:
    return GatewaySettings()


@pytest_asyncio.fixture
async def gateway(redis_url: str, transactional_db: None, gateway_settings: GatewaySettings) -> AsyncIterator[Gateway]:
    upstream = FakeUpstream()
    runtime = Runtime(
        store=Store(StorePool(Address.from_url(redis_url), PATIENT)),
        snapshot=Snapshot(capacity=100),
        upstream=upstream,
        gateway_settings=gateway_settings,
        peers=Peers(expected=2),
        side=patient.side(),
    )
    await runtime.open()
    app = lean_urls.handler()
    yield Gateway(runtime, upstream, DocumentedCaller(app, {"runtime": runtime}, passed=upstream))
    await runtime.close()


@pytest.fixture
def sandbox(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    with sandbox_behind(connection, monkeypatch) as started:
        yield started
