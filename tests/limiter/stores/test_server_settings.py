"""How the store is set up is checked, and a warning names the possible loss; a value it does not report is unknown."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis

from limiter.stores import server_settings
from limiter.stores.pipeline import Address
from limiter.stores.pool import ClusterPool, StorePool
from limiter.stores.server_settings import LIMITER, UNKNOWN
from quota_platform.embedded import Valkey, start_valkey
from tests.cluster import running_cluster
from tests.limiter.core.given import PATIENT


@pytest.fixture
async def link(redis_url: str) -> AsyncIterator[StorePool]:
    made = StorePool(Address.from_url(redis_url), PATIENT)
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


async def test_a_store_that_evicts_is_warned_of(link: StorePool, operator: redis.Redis) -> None:
    operator.config_set("maxmemory-policy", "allkeys-lru")
    seen = await server_settings.ask(link)
    assert seen.eviction == "allkeys-lru"
    assert any("limits would let calls through" in warning for warning in seen.warnings(LIMITER))


@pytest.mark.parametrize(
    ("append_only", "save", "persistence", "warned"),
    [("no", "", "none", True), ("no", "3600 1", "snapshots (3600 1)", True), ("yes", "", "append-only file", False)],
)
async def test_a_store_that_forgets_is_warned_of(
    link: StorePool, operator: redis.Redis, append_only: str, save: str, persistence: str, warned: bool
) -> None:
    operator.config_set("save", save)
    operator.config_set("appendonly", append_only)
    seen = await server_settings.ask(link)
    assert seen.persistence == persistence
    assert any("restart may lose" in warning for warning in seen.warnings(LIMITER)) == warned


async def test_a_store_that_refuses_config_is_judged_by_what_it_tells(link: StorePool, operator: redis.Redis) -> None:
    operator.acl_setuser("default", enabled=True, nopass=True, categories=["+@all"], commands=["-config"])
    seen = await server_settings.ask(link)
    operator.acl_setuser("default", enabled=True, nopass=True, categories=["+@all"])
    assert (seen.eviction, seen.persistence, seen.refused) == ("noeviction", UNKNOWN, "")
    assert seen.version.count(".") == 2


async def test_a_user_without_the_right_learns_which_to_grant(
    link: StorePool, operator: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    operator.acl_setuser("default", enabled=True, nopass=True, categories=["+@all"], commands=["-info", "-config"])
    seen = await server_settings.ask(link)
    operator.acl_setuser("default", enabled=True, nopass=True, categories=["+@all"])
    assert (seen.version, seen.eviction, seen.maxmemory, seen.persistence) == (UNKNOWN, UNKNOWN, None, UNKNOWN)
    assert [warning for warning in seen.warnings(LIMITER) if "+info" in warning]
    assert caplog.records == []


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Valkey]:
    """The server of all but the windows. It evicts, and keeps an append-only file."""
    server = start_valkey(directory=tmp_path / "other", durable=True, extra=("--maxmemory-policy", "allkeys-lru"))
    yield server
    server.kill()


async def test_the_server_of_all_but_the_windows_is_looked_at_too(link: StorePool, other: Valkey) -> None:
    shared = StorePool(Address.from_url(other.url), PATIENT)
    seen = await server_settings.look(link, shared)
    assert [server.settings.eviction for server in seen if server.settings] == ["noeviction", "allkeys-lru"]
    (evicts,) = [warning for warning in server_settings.warnings(seen) if "evicts" in warning]
    assert "repeated calls could be sent upstream once more" in evicts and f"(127.0.0.1:{other.port})" in evicts
    await shared.close()


async def test_a_server_that_two_addresses_name_is_one(link: StorePool, redis_url: str) -> None:
    shared = StorePool(Address.from_url(redis_url.replace("127.0.0.1", "localhost")), PATIENT)
    assert len(await server_settings.look(link, shared)) == 1
    await shared.close()


async def test_every_primary_of_a_cluster_is_looked_at(tmp_path: Path) -> None:
    with running_cluster(tmp_path) as cluster:
        link = ClusterPool(Address.from_url(cluster.url), PATIENT)
        evicting, lost = cluster.nodes[1:]
        evicting.client.config_set("maxmemory-policy", "volatile-ttl")
        seen = await server_settings.look(link, None)
        assert {server.name for server in seen} == {f"127.0.0.1:{node.server.port}" for node in cluster.nodes}
        data = {warning.split(" ")[2]: warning for warning in server_settings.warnings(seen)}
        assert f"(127.0.0.1:{evicting.server.port})" in data["evicts"]
        assert data["keeps"].count("127.0.0.1:") == 3, "what holds for all is said once"
        lost.server.kill()
        unknown = [server.name for server in await server_settings.look(link, None) if server.settings is None]
        assert unknown == [f"127.0.0.1:{lost.server.port}"]
        await link.close()
