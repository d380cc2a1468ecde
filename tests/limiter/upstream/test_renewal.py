"""Celery's door: it renews the shared tokens of live connections that are due, and no others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import redis.asyncio
from pytest_django import Settings

from limiter.upstream.discovery import Endpoints
from limiter.upstream.tasks import refresh_upstream_tokens
from limiter.upstream.vault import StoredToken, Vault, fingerprint
from quota_platform.sandbox import Running, running_in_thread
from tenants.directory import ConnectionSpec
from tenants.models import Connection
from tenants.spec_rows import connection_spec
from tests.limiter.upstream.conftest import CLIENT_SECRET

pytestmark = pytest.mark.django_db


@pytest.fixture
def unit(settings: Settings) -> Iterator[Running]:
    with running_in_thread(clients={"demo-client": CLIENT_SECRET}) as sandbox:
        settings.ENV = settings.ENV.model_copy(update={"SANDBOX_HOSTS": [sandbox.address]})
        yield sandbox


def used(unit: Running, redis_url: str, *, left_s: float, **fields: object) -> ConnectionSpec:
    """A connection whose token workers share, with this much left of its life."""
    row = Connection(name=f"unit-{left_s}", is_sandbox=True, base_url=unit.base_url, client_id="demo-client")
    for name, value in fields.items():
        setattr(row, name, value)
    row.set_client_secret(CLIENT_SECRET)
    row.save()
    spec = connection_spec(row)

    async def put() -> None:
        async with redis.asyncio.Redis.from_url(redis_url) as store:
            mark = fingerprint(spec)
            endpoints = Endpoints(api_base=spec.base_url, fingerprint=mark)
            await Vault(store).put(spec, mark=mark, value="old-token", lifetime_s=left_s, endpoints=endpoints)

    asyncio.run(put())
    return spec


def shared(spec: ConnectionSpec, redis_url: str) -> StoredToken | None:
    async def get() -> StoredToken | None:
        async with redis.asyncio.Redis.from_url(redis_url) as store:
            return (await Vault(store).read(spec, mark=fingerprint(spec))).token

    return asyncio.run(get())


def test_a_token_that_is_due_is_renewed_for_all(unit: Running, redis_url: str) -> None:
    due, fresh = used(unit, redis_url, left_s=20), used(unit, redis_url, left_s=3600)
    off = used(unit, redis_url, left_s=21, enabled=False)

    assert refresh_upstream_tokens() == 1

    renewed = shared(due, redis_url)
    assert renewed is not None and renewed.value != "old-token" and renewed.left_s > 3500
    for spec in (fresh, off):
        left = shared(spec, redis_url)
        assert left is not None and left.value == "old-token"
    assert len(unit.state.log.entries(endpoint="token")) == 1


def test_a_token_endpoint_that_fails_takes_no_good_token_away(unit: Running, redis_url: str) -> None:
    due = used(unit, redis_url, left_s=20)
    unit.state.faults.add({"fault": "401", "where": "token"})

    assert refresh_upstream_tokens() == 0

    left = shared(due, redis_url)
    assert left is not None and left.value == "old-token"


def test_a_connection_that_nobody_uses_is_left_alone(connection: Connection, redis_url: str) -> None:
    assert refresh_upstream_tokens() == 0


def test_without_connections_there_is_nothing_to_do(redis_url: str) -> None:
    assert refresh_upstream_tokens() == 0
