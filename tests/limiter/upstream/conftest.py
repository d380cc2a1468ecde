"""A sandbox to call, connections of every preset to it, and a clock that only moves when a test says so."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis.asyncio

from limiter.upstream.call import UpstreamCall
from limiter.upstream.client import Client
from limiter.upstream.clock import Clock
from quota_platform.sandbox import Running, running
from tenants.directory import ActionSpec, ConnectionSpec
from tenants.models import Connection
from tenants.spec_rows import connection_spec

CLIENT_SECRET = "canary-client-secret/+="
KEY_ID = "ACCESSKEYID===="
KEY_SECRET = "canary-access-key-secret===="
START = 1_700_000_000.0


class HandClock:
    """Time that stands still until somebody sleeps or moves it; ``luck`` is what chance gives."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.luck = 0.5
        self.slept: list[float] = []

    def wall(self) -> float:
        return START + self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)

    def as_clock(self) -> Clock:
        return Clock(
            monotonic=lambda: 1000.0 + self.seconds, wall=self.wall, sleep=self.sleep, chance=lambda: self.luck
        )


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def sandbox(clock: HandClock) -> AsyncIterator[Running]:
    """One that goes by the test's clock."""
    async with running(
        clients={"demo-client": CLIENT_SECRET}, access_keys={KEY_ID: KEY_SECRET}, clock=clock.wall, seed=1
    ) as sandbox:
        yield sandbox


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    client = redis.asyncio.Redis.from_url(redis_url)
    yield client
    await client.aclose()


def connection_to(base_url: str, preset: str = "cxone_webaction", **fields: Any) -> ConnectionSpec:
    """A sandbox connection as a worker holds it; no database."""
    row = Connection(
        **{
            "pk": 7,
            "uid": uuid.uuid5(uuid.NAMESPACE_URL, base_url + preset),
            "name": preset,
            "preset": preset,
            "is_sandbox": True,
            "base_url": base_url,
            "client_id": "demo-client",
            "access_key_id": KEY_ID,
        }
        | fields
    )
    row.set_client_secret(CLIENT_SECRET)
    row.set_access_key_secret(KEY_SECRET)
    return connection_spec(row)


Connect = Callable[..., ConnectionSpec]


@pytest.fixture
def connect(sandbox: Running) -> Connect:
    """``connect("cxone", max_retries=0)``: a connection to the sandbox."""
    return lambda preset="cxone_webaction", **fields: connection_to(sandbox.base_url, preset, **fields)


MakeClient = Callable[..., Client]


@pytest.fixture
async def make_client(sandbox: Running, store: redis.asyncio.Redis, clock: HandClock) -> AsyncIterator[MakeClient]:
    """Another worker's client each time; closed with the test."""
    made: list[Client] = []

    def make(**fields: Any) -> Client:
        settings: dict[str, Any] = {
            "redis": store,
            "pool_size": 600,
            "sandbox_hosts": [sandbox.address],
            "clock": clock.as_clock(),
        }
        made.append(Client(**settings | fields))
        return made[-1]

    yield make
    for client in made:
        await client.close()


@pytest.fixture
async def client(make_client: MakeClient) -> Client:
    return make_client()


LOOKUP = ActionSpec(1, "lookupOrder")


def call_to(connection: ConnectionSpec, action: ActionSpec = LOOKUP, **fields: Any) -> UpstreamCall:
    usual: dict[str, Any] = {"tenant_id": "acme", "request_id": "req-1", "body": b'{"orderId": "42"}'}
    return UpstreamCall(connection=connection, action=action, **usual | fields)
