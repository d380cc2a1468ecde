"""A busy deployment with a key prefix, and a store that lets it touch nothing without."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.core.cache import cache
from django.db import connections

from dashboard import news
from dashboard.seats import Seats
from limiter import clients
from limiter.core import keys
from limiter.models import QuotaPolicy
from limiter.record import keeping
from limiter.stores import prefix
from limiter.upstream.health import ConnectionFault, dump
from quota_platform import redis_settings
from quota_platform.base import changes
from tests.limiter import patient
from tests.limiter.gateway.conftest import Gateway


@pytest.fixture(autouse=True)
def no_prefix_afterwards() -> Iterator[None]:
    yield
    prefix.use("")


@pytest.fixture
def confined(redis_url: str, settings: Any) -> Iterator[redis.Redis]:
    """The deployment is called "here", and the store lets it touch nothing that is called otherwise."""
    prefix.use("here:")
    settings.KEY_PREFIX = "here:"
    settings.CACHES = redis_settings.caches(redis_url, {}, prefix="here:")
    settings.CHANNEL_LAYERS = redis_settings.channel_layers(redis_url, {}, prefix="here:")
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("acllog-max-len", 128)
        client.acl_log_reset()
        client.execute_command("ACL", "SETUSER", "default", "resetkeys", "resetchannels", "~here:*", "&here:*")
        yield client
        client.execute_command("ACL", "SETUSER", "default", "allkeys", "allchannels")


async def test_no_name_in_the_store_is_without_the_prefix(
    confined: redis.Redis, gateway: Gateway, acme_key: str, base_policy: QuotaPolicy
) -> None:
    assert [(await gateway.invoke("lookupOrder", key=acme_key)).status for _ in range(101)] == [200] * 100 + [429]
    await gateway.invoke("lookupOrder", key=acme_key, headers={"Idempotency-Key": "once"})
    await gateway.recorded()
    await gateway.runtime.heartbeat.report()
    seats = Seats(patient.side())
    await seats.renew([await seats.take(1) or pytest.fail("no seat")])
    await news._send(1)
    await asyncio.to_thread(_in_pages_and_tasks)
    await seats.close()
    await news.close()
    names = {key.decode() for key in confined.scan_iter(count=1000)}
    assert {"here:q:workers", "here:q:tasks", "here:q:{c1}:usage", "here:dashboard:seats:1"} & names
    assert [name for name in names if not name.startswith("here:")] == []
    assert [entry["object"] for entry in confined.acl_log()] == []


def _in_pages_and_tasks() -> None:
    with clients.shared_client() as client:
        client.set(keys.health("u"), dump(ConnectionFault("gone", 1, 2, 3, lasting=False, fingerprint="f")))
    changes.ring()
    cache.set_many({"snapshot": {"seq": 1}})
    for keep in (keeping.store_events, keeping.store_usage, keeping.note_overrides):
        keep()
    connections.close_all()
