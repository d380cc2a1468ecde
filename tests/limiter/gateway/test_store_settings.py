"""How the store is set up is checked, and a warning says what may be lost; what it does not tell is unknown."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from limiter.core.store import Store
from limiter.gateway import store_settings
from limiter.gateway.store_settings import UNKNOWN
from tests.limiter.core.given import store_at


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[Store]:
    made = store_at(redis_url)
    yield made
    await made.close()


@pytest.fixture
def operator(redis_url: str) -> Iterator[redis.Redis]:
    """The server as its operator sets it up; as it was afterwards."""
    with redis.Redis.from_url(redis_url) as client:
        before = client.config_get("maxmemory-policy", "save", "appendonly")
        yield client
        client.acl_setuser("default", enabled=True, nopass=True, categories=["+@all"])
        for name, value in before.items():
            client.config_set(name, value)


async def test_a_store_that_evicts_is_warned_of(store: Store, operator: redis.Redis) -> None:
    operator.config_set("maxmemory-policy", "allkeys-lru")
    seen = await store_settings.look(store)
    assert seen.eviction == "allkeys-lru"
    assert any("limits would let calls through" in warning for warning in seen.warnings())


@pytest.mark.parametrize(
    ("append_only", "save", "persistence", "warned"),
    [("no", "", "none", True), ("no", "3600 1", "snapshots (3600 1)", True), ("yes", "", "append-only file", False)],
)
async def test_a_store_that_forgets_is_warned_of(
    store: Store, operator: redis.Redis, append_only: str, save: str, persistence: str, warned: bool
) -> None:
    operator.config_set("save", save)
    operator.config_set("appendonly", append_only)
    seen = await store_settings.look(store)
    assert seen.persistence == persistence
    assert any("restart may lose" in warning for warning in seen.warnings()) == warned


async def test_a_store_that_refuses_config_is_judged_by_what_it_tells(store: Store, operator: redis.Redis) -> None:
    operator.acl_setuser("default", enabled=True, nopass=True, categories=["+@all"], commands=["-config"])
    seen = await store_settings.look(store)
    operator.acl_setuser("default", enabled=True, nopass=True, categories=["+@all"])
    assert (seen.eviction, seen.persistence, seen.refused) == ("noeviction", UNKNOWN, "")
    assert seen.version.count(".") == 2


async def test_a_user_without_the_right_is_told_which_to_grant(
    store: Store, operator: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    operator.acl_setuser("default", enabled=True, nopass=True, categories=["+@all"], commands=["-info", "-config"])
    seen = await store_settings.look(store)
    operator.acl_setuser("default", enabled=True, nopass=True, categories=["+@all"])
    assert (seen.version, seen.eviction, seen.maxmemory, seen.persistence) == (UNKNOWN, UNKNOWN, None, UNKNOWN)
    assert [warning for warning in seen.warnings() if "+info" in warning]
    assert caplog.records == []
