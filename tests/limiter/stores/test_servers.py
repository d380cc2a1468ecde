"""Several servers, of which a dead one or a replica stops nobody; and TLS, with an authority of one's own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
from channels.layers import channel_layers
from django.core.cache import caches
from kombu import Connection
from redis.exceptions import RedisError

from limiter import clients
from limiter.stores.errors import StoreUnavailable
from limiter.stores.pipeline import Address, pack
from limiter.stores.pool import ClusterPool, Link, StorePool
from limiter.stores.servers import SYSTEM, Certificates, Servers
from quota_platform import broker, redis_settings
from quota_platform.embedded import Valkey, start_valkey
from tests.cluster import running_cluster
from tests.environment import VALKEY
from tests.limiter.core.given import PATIENT
from tests.patience import HANG_S
from tests.tls import Authority, tls_before

DEAD = "127.0.0.1:1"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A second server, which a test makes a replica."""
    server = start_valkey(directory=tmp_path_factory.mktemp("other"))
    yield server
    server.kill()


async def ask(link: Link, *words: str) -> Any:
    try:
        return await link.send(pack(*words), key=b"k")
    finally:
        await link.close()


async def reached(url: str, certificates: Certificates = SYSTEM) -> list[int]:
    """The ports of the servers that each of the clients reaches; raises what the first that reaches none raises."""
    servers = Servers.of(url, certificates)
    own = await ask(StorePool(Address.from_url(url, certificates), PATIENT), "CONFIG", "GET", "port")
    async with redis.asyncio.Redis.from_url(servers.url, **servers.async_options()) as client:
        asynchronous: Any = await client.config_get("port")
    return [int(own[1]), int(asynchronous["port"]), *await asyncio.to_thread(_reached, servers)]


def _reached(servers: Servers) -> list[int]:
    with redis.Redis.from_url(servers.url, **servers.options()) as client:
        plain = client.config_get("port")
    options = redis_settings.broker_options(servers.options(), prefix="")
    with Connection(servers.url, transport=broker.NAME, transport_options=options) as connection:
        channel: Any = connection.default_channel
        queued = channel.client.config_get("port")
    return [int(plain["port"]), int(queued["port"])]


async def test_the_first_server_that_can_be_reached_and_is_no_replica_is_used(redis_url: str, other: Valkey) -> None:
    with redis.Redis(port=other.port) as operator:
        for first, second in ((VALKEY.port, other.port), (other.port, VALKEY.port)):
            url = f"redis://{DEAD},127.0.0.1:{first},127.0.0.1:{second}/0"
            assert set(await reached(url)) == {first}
        operator.replicaof("127.0.0.1", "1")
        assert set(await reached(f"redis://{DEAD},127.0.0.1:{other.port},127.0.0.1:{VALKEY.port}/0")) == {VALKEY.port}
        operator.replicaof("NO", "ONE")


async def test_a_client_follows_the_role_of_primary_to_another_server(redis_url: str, other: Valkey) -> None:
    url = f"redis://127.0.0.1:{other.port},127.0.0.1:{VALKEY.port}/0"
    servers = Servers.of(url)
    with redis.Redis(port=other.port) as operator, redis.Redis.from_url(servers.url, **servers.options()) as client:
        client.set("k", "before")
        operator.replicaof("127.0.0.1", "1")
        with pytest.raises(redis.ConnectionError, match="READONLY"):
            _once(client)
        client.set("k", "after")
        assert redis.Redis.from_url(redis_url).get("k") == b"after"
        operator.replicaof("NO", "ONE")


def _once(client: redis.Redis) -> None:
    """Without redis-py's own retries, which would hide the errors."""
    connection: Any = client.connection_pool.get_connection()
    try:
        connection.send_command("SET", "k", "meanwhile")
        connection.read_response()
    finally:
        client.connection_pool.release(connection)


async def test_a_server_that_stands_still_is_waited_for_once_and_not_by_every_connection(redis_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        frozen.settimeout(HANG_S)
        servers = Servers.of(f"redis://127.0.0.1:{frozen.getsockname()[1]},127.0.0.1:{VALKEY.port}/0")
        with redis.Redis.from_url(servers.url, **servers.options(), socket_timeout=0.2) as first:
            assert await asyncio.to_thread(first.ping)
        frozen.accept()[0].close()
        frozen.setblocking(False)
        with redis.Redis.from_url(servers.url, **servers.options()) as second:
            assert await asyncio.to_thread(second.ping)
        async with redis.asyncio.Redis.from_url(servers.url, **servers.async_options()) as third:
            assert await third.ping()
        with pytest.raises(BlockingIOError):
            frozen.accept()


async def test_a_dead_seed_of_a_cluster_stops_nobody(tmp_path: Path, settings: Any) -> None:
    with running_cluster(tmp_path) as cluster:
        url = f"redis://{DEAD},127.0.0.1:{cluster.nodes[0].server.port}/0"
        assert await ask(ClusterPool(Address.from_url(url), PATIENT), "SET", "k", "v") == b"OK"
        settings.ENV = settings.ENV.model_copy(update={"LIMITER_REDIS_URL": url, "LIMITER_REDIS_CLUSTER": True})
        with clients.client() as client:
            assert client.get("k") == b"v"


def test_a_list_that_cannot_be_read_is_refused_without_repeating_it() -> None:
    for url in ("redis://:canary@one:6379,:6380/0", "redis://one:canary,two/0", "redis://:canary,two"):
        with pytest.raises(ValueError, match="a server in the list has") as refused:
            Servers.of(url)
        assert "canary" not in str(refused.value)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secure_port(authority: Authority) -> Iterator[int]:
    """Where the tests' store is reached over TLS, with a client's certificate only."""
    with tls_before(lambda: asyncio.open_connection("127.0.0.1", VALKEY.port), authority.issue("server")) as port:
        yield port


async def test_every_client_reaches_a_store_over_tls_with_own_certificates(
    redis_url: str, secure_port: int, authority: Authority, settings: Any
) -> None:
    client = authority.issue("client")
    url = f"rediss://127.0.0.1:{secure_port}/0"
    assert set(await reached(url, client)) == {VALKEY.port}
    assert set(await reached(f"rediss://{DEAD},127.0.0.1:{secure_port}/0", client)) == {VALKEY.port}
    servers = Servers.of(url, client)
    settings.CACHES = redis_settings.caches(servers.url, servers.options(), prefix="")
    settings.CHANNEL_LAYERS = redis_settings.channel_layers(servers.url, servers.async_options(), prefix="")
    await asyncio.to_thread(caches["default"].set, "k", 1)
    assert await asyncio.to_thread(caches["default"].get, "k") == 1
    layer: Any = channel_layers["default"]
    await layer.group_send("g", {"type": "t"})
    await layer.flush()


async def test_a_client_with_another_authority_or_without_a_certificate_is_not_connected(
    redis_url: str, secure_port: int, authority: Authority
) -> None:
    url = f"rediss://127.0.0.1:{secure_port}/0"
    for certificates in (SYSTEM, Certificates(authority.ca)):
        with pytest.raises((StoreUnavailable, RedisError)):
            await reached(url, certificates)
        servers = Servers.of(url, certificates)
        with pytest.raises(RedisError), redis.Redis.from_url(servers.url, **servers.options()) as client:
            client.ping()
