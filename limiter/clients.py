"""The limiter's clients, built from settings: for a worker's event loop, and for commands and tasks."""

from __future__ import annotations

import redis
import redis.asyncio
from django.conf import settings
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.retry import Retry

from limiter.core.store import Store
from limiter.stores.pipeline import Address
from limiter.stores.pool import ClusterPool, Link, PoolSettings, StorePool
from limiter.stores.servers import Servers


def store_url() -> str:
    """Where the limiter's windows live; REDIS_URL unless they live apart."""
    return str(settings.ENV.LIMITER_REDIS_URL or settings.ENV.REDIS_URL)


def store() -> Store:
    """A store for the running event loop, not yet opened."""
    return Store(link(), give_up_ms=settings.ENV.LIMITER_SOCKET_TIMEOUT_MS)


def link() -> Link:
    """The connections to the limiter's store, for the running event loop, not yet opened."""
    address = Address.from_url(store_url(), settings.ENV.redis_certificates)
    return ClusterPool(address, _bounds()) if settings.ENV.LIMITER_REDIS_CLUSTER else StorePool(address, _bounds())


def shared_link() -> Link | None:
    """The same for the server of REDIS_URL, where the windows live apart from it; None elsewhere."""
    env = settings.ENV
    if not env.LIMITER_REDIS_URL:
        return None
    return StorePool(Address.from_url(env.REDIS_URL, env.redis_certificates), _bounds())


def _bounds() -> PoolSettings:
    env = settings.ENV
    return PoolSettings(
        size=env.LIMITER_POOL_SIZE,
        connect_timeout_ms=env.LIMITER_CONNECT_TIMEOUT_MS,
        timeout_ms=env.LIMITER_SOCKET_TIMEOUT_MS,
        probe_ms=env.LIMITER_PROBE_MS,
        max_in_flight=env.LIMITER_MAX_IN_FLIGHT,
    )


def async_client() -> redis.asyncio.Redis:
    """redis-py for everything off the hot path: tokens, kept responses, the change bell. It never retries."""
    servers = _shared()
    return redis.asyncio.Redis.from_url(
        servers.url,
        **servers.async_options(),
        socket_timeout=1,
        socket_connect_timeout=1,
        retry=AsyncRetry(NoBackoff(), 0),
        max_connections=64,
    )


def wakes_client() -> redis.asyncio.Redis:
    """redis-py for messages of the limiter's store; of a cluster any node has them."""
    servers = Servers.of(store_url(), settings.ENV.redis_certificates)
    return redis.asyncio.Redis.from_url(
        servers.url,
        **servers.async_options(),
        socket_timeout=5,
        socket_connect_timeout=1,
        retry=AsyncRetry(NoBackoff(), 0),
        max_connections=1,
    )


def shared_client() -> redis.Redis:
    """As :func:`async_client`, for pages: what workers tell each other, read within a second or not at all."""
    return _redis(_shared(), socket_timeout=1)


def client() -> redis.Redis | redis.RedisCluster:
    """redis-py on the limiter's store, for commands and Celery tasks."""
    servers = Servers.of(store_url(), settings.ENV.redis_certificates)
    if settings.ENV.LIMITER_REDIS_CLUSTER:
        nodes = [ClusterNode(*seed) for seed in servers.seeds]  # type: ignore[no-untyped-call]
        tls = servers.certificates.options() if servers.secure else {}
        scheme = "rediss" if servers.secure else "redis"
        return redis.RedisCluster.from_url(
            scheme + servers.url.removeprefix("redis"),
            startup_nodes=nodes,
            socket_timeout=5,
            socket_connect_timeout=1,
            **tls,
        )
    return _redis(servers, socket_timeout=5)


def _shared() -> Servers:
    return Servers.of(settings.ENV.REDIS_URL, settings.ENV.redis_certificates)


def _redis(servers: Servers, *, socket_timeout: float) -> redis.Redis:
    return redis.Redis.from_url(
        servers.url,
        **servers.options(),
        socket_timeout=socket_timeout,
        socket_connect_timeout=1,
        retry=Retry(NoBackoff(), 0),
    )
