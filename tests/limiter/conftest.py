"""A plain client to look into the store, and a store to be hurt."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis

from quota_platform.embedded import Valkey, start_valkey
from tests.chaos import ChaosProxy
from tests.cluster import Cluster, running_cluster


@pytest.fixture
def raw(redis_url: str) -> Iterator[redis.Redis]:
    """What lies in the store."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A server of the test's own, to be hurt."""
    server = start_valkey(directory=tmp_path)
    yield server
    server.process.send_signal(signal.SIGCONT)
    server.kill()


@pytest.fixture
def inside(valkey: Valkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey.url) as client:
        yield client


@pytest.fixture
async def proxy(valkey: Valkey) -> AsyncIterator[ChaosProxy]:
    async with ChaosProxy.before(valkey.port) as made:
        yield made


@pytest.fixture(scope="session")
def whole_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes. Tests may move slots, from the first node to the second; they leave every node alive.

    Never back: a slot that is handed to and fro faster than the nodes gossip is claimed by both.
    """
    with running_cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture
def cluster(whole_cluster: Cluster) -> Cluster:
    """The same, empty."""
    whole_cluster.empty()
    return whole_cluster


@pytest.fixture
def mortal_cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Three nodes of the test's own, to be killed."""
    with running_cluster(tmp_path) as made:
        yield made
