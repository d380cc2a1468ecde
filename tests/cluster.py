"""A Redis Cluster of three local nodes, started from the embedded server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import redis
from redis.crc import key_slot

from quota_platform.embedded import Valkey, free_port, start_valkey
from tests.patience import until

_SLOTS = 16_384
_NODES = 3


@dataclass
class Node:
    """One primary; ``bus_port`` is where the nodes talk to each other."""

    server: Valkey
    bus_port: int
    client: redis.Redis
    name: str

    @classmethod
    def start(cls, directory: Path) -> Node:
        bus_port = free_port()
        server = start_valkey(
            directory=directory,
            extra=(
                *("--cluster-enabled", "yes"),
                *("--cluster-config-file", "nodes.conf"),
                *("--cluster-port", str(bus_port)),
                *("--cluster-node-timeout", "2000"),
                # What a limiter needs: the slots of a lost node must not take the others down.
                *("--cluster-require-full-coverage", "no"),
            ),
        )
        client = redis.Redis(port=server.port, decode_responses=True)
        return cls(server, bus_port, client, name=str(run(client, "MYID")))


def run(client: redis.Redis, *words: str | int) -> Any:
    """A CLUSTER command, its reply as the server gave it: redis-py reshapes some of them."""
    connection: Any = client.connection_pool.get_connection()
    try:
        connection.send_command("CLUSTER", *words)
        return connection.read_response()
    finally:
        client.connection_pool.release(connection)


class Cluster:
    """The nodes and what an operator does to them."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes

    @property
    def url(self) -> str:
        return self.nodes[0].server.url

    def owner(self, key: str) -> Node:
        """The node that serves ``key`` by the first living node's account."""
        slot = key_slot(key.encode())
        witness = next(node for node in self.nodes if node.server.process.poll() is None)
        for first, last, primary, *_ in run(witness.client, "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.server.port == primary[1])
        raise LookupError(f"nobody serves slot {slot}")

    def begin_move(self, slot: int, *, source: Node, target: Node) -> None:
        run(target.client, "SETSLOT", slot, "IMPORTING", source.name)
        run(source.client, "SETSLOT", slot, "MIGRATING", target.name)

    def end_move(self, slot: int, *, source: Node, target: Node) -> None:
        for key in run(source.client, "GETKEYSINSLOT", slot, 1000):
            source.client.migrate("127.0.0.1", target.server.port, key, 0, 10_000)
        for node in (target, source, *self.nodes):
            run(node.client, "SETSLOT", slot, "NODE", target.name)
        until(lambda: all(_serves(node, slot, target) for node in self.nodes), what="the nodes to agree on a slot")

    def move(self, slot: int, *, source: Node, target: Node) -> None:
        self.begin_move(slot, source=source, target=target)
        self.end_move(slot, source=source, target=target)

    def replace(self, dead: Node, *, by: Node) -> None:
        """Let a living node serve what a dead one served."""
        first, last = _range(self.nodes.index(dead))
        living = [node for node in self.nodes if node is not dead]
        for node in living:
            run(node.client, "FORGET", dead.name)
        run(by.client, "ADDSLOTSRANGE", first, last)
        run(by.client, "BUMPEPOCH")
        until(lambda: all(_serves(node, first, by) for node in living), what="the survivors to agree")

    def empty(self) -> None:
        for node in self.nodes:
            node.client.flushall()

    def stop(self) -> None:
        for node in self.nodes:
            node.client.close()
            node.server.kill()


def _range(index: int) -> tuple[int, int]:
    return index * _SLOTS // _NODES, (index + 1) * _SLOTS // _NODES - 1


def _serves(witness: Node, slot: int, node: Node) -> bool:
    ranges = cast(list[list[Any]], run(witness.client, "SLOTS"))
    return any(first <= slot <= last and primary[1] == node.server.port for first, last, primary, *_ in ranges)


@contextmanager
def running_cluster(directory: Path) -> Iterator[Cluster]:
    """Three nodes that know each other and serve all slots."""
    cluster = Cluster([Node.start(directory / str(index)) for index in range(_NODES)])
    try:
        for index, node in enumerate(cluster.nodes):
            run(node.client, "SET-CONFIG-EPOCH", index + 1)
            run(node.client, "ADDSLOTSRANGE", *_range(index))
        for node in cluster.nodes[1:]:
            run(node.client, "MEET", "127.0.0.1", cluster.nodes[0].server.port, cluster.nodes[0].bus_port)
        until(
            lambda: all(
                _serves(witness, _range(index)[0], node)
                for witness in cluster.nodes
                for index, node in enumerate(cluster.nodes)
            ),
            what="the nodes to know each other",
        )
        until(
            lambda: all("cluster_state:ok" in str(run(node.client, "INFO")) for node in cluster.nodes),
            what="the cluster to be up",
        )
        yield cluster
    finally:
        cluster.stop()
