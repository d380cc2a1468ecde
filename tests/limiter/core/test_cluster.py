"""Redis Cluster: a connection's keys lie on one node, moved slots are followed, and a lost node loses only its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from redis.crc import key_slot

from limiter.core import keys
from limiter.core.adaptive import AdaptiveSettings
from limiter.core.store import EndedCall, Store
from limiter.core.types import Decision
from limiter.core.window import Stack, bind
from limiter.stores.errors import StoreError, StoreUnavailable
from limiter.stores.pipeline import Address
from limiter.stores.pool import ClusterPool
from quota_platform.embedded import free_port
from tests.cluster import Cluster, Node
from tests.limiter.core.given import ACME, PATIENT, T0, bucket, call, counter, log, slots
from tests.patience import eventually

LIMITS = (log(100), counter(100), bucket(100, burst=100), slots(100))
SOON = replace(PATIENT, probe_ms=20)


@asynccontextmanager
async def opened(cluster: Cluster) -> AsyncIterator[Store]:
    store = Store(ClusterPool(Address.from_url(cluster.url), SOON))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def bound_to(connection: int) -> Stack:
    return bind(LIMITS, subject=replace(ACME, connection=connection), default_ppm=1_000_000)


def connections_of(cluster: Cluster) -> dict[int, Node]:
    """Connections until every node has one, with the node of each."""
    found: dict[int, Node] = {}
    connection = 1
    while len({node.name for node in found.values()}) < len(cluster.nodes):
        found[connection] = cluster.owner(keys.events(connection))
        connection += 1
    return found


def connection_on(cluster: Cluster, node: Node) -> int:
    return next(connection for connection, owner in connections_of(cluster).items() if owner is node)


async def test_calls_of_every_connection_are_decided_on_its_own_node(cluster: Cluster) -> None:
    homes = connections_of(cluster)
    async with opened(cluster) as store:
        for connection in homes:
            decisions = [await call(store, bound_to(connection), at, lease=str(at)) for at in range(3)]
            assert [state.used for state in decisions[-1].states] == [3, 3, 3, 3]
    for connection, home in homes.items():
        for node in cluster.nodes:
            held = set(node.client.scan_iter(match=f"{keys.tag(connection)}*"))
            assert bool(held) is (node is home)


async def test_a_call_s_end_is_recorded_and_the_multiplier_made_on_every_node(cluster: Cluster) -> None:
    async with opened(cluster) as store:
        for connection in connections_of(cluster):
            bound = bound_to(connection)
            await call(store, bound, 0, lease="one")
            slow = [EndedCall("one", "answered", latency_us=1_600_000)] * 5
            evidence = (await store.record(bound, slow, settings=AdaptiveSettings(), now_us=T0)).evidence
            assert evidence is not None and evidence.multiplier_ppm == 500_000
            after = await call(store, bound, 0, lease="two")
            assert (after.multiplier, after.states[3].used) == (0.5, 1)


async def test_a_crowd_over_all_nodes_is_counted_exactly(cluster: Cluster) -> None:
    homes = list(connections_of(cluster))
    async with opened(cluster) as store:
        crowd = (call(store, bound_to(c), 0, lease=str(number)) for number in range(150) for c in homes)
        decisions = await asyncio.gather(*crowd)
    assert sum(decision.allowed for decision in decisions) == 100 * len(homes)


async def test_a_slot_that_moved_is_followed_and_its_counts_move_with_it(cluster: Cluster) -> None:
    source, target, _ = cluster.nodes
    connection = connection_on(cluster, source)
    slot = key_slot(keys.events(connection).encode())
    async with opened(cluster) as store:
        await call(store, bound_to(connection), 0, lease="one")
        cluster.move(slot, source=source, target=target)
        after = await call(store, bound_to(connection), 0, lease="two")
        assert [state.used for state in after.states] == [2, 2, 2, 2]
        assert store.status().failures == 0


async def test_while_a_slot_moves_its_calls_are_not_decided_and_afterwards_they_are(cluster: Cluster) -> None:
    source, target, _ = cluster.nodes
    connection = connection_on(cluster, source)
    slot = key_slot(keys.events(connection).encode())
    async with opened(cluster) as store:
        await call(store, bound_to(connection), 0, lease="one")
        cluster.begin_move(slot, source=source, target=target)
        with pytest.raises(StoreUnavailable, match="TRYAGAIN"):
            await call(store, bound_to(connection), 0, lease="two")
        cluster.end_move(slot, source=source, target=target)
        assert (await call(store, bound_to(connection), 0, lease="two")).states[0].used == 2


async def test_a_plain_command_is_sent_on_to_where_its_key_is_going(cluster: Cluster) -> None:
    source, target, _ = cluster.nodes
    connection = connection_on(cluster, source)
    name = keys.events(connection)
    async with opened(cluster) as store:
        cluster.begin_move(key_slot(name.encode()), source=source, target=target)
        await store.command("XADD", name, "*", "at", "1", key=name)
        assert await store.command("XLEN", name, key=name) == 1
        assert list(source.client.scan_iter()) == []
        cluster.end_move(key_slot(name.encode()), source=source, target=target)
        assert await store.command("XLEN", name, key=name) == 1


async def test_scripts_missing_on_one_node_are_loaded_there(cluster: Cluster) -> None:
    async with opened(cluster) as store:
        for connection, node in connections_of(cluster).items():
            await call(store, bound_to(connection), 0, lease="one")
            node.client.script_flush()
            assert (await call(store, bound_to(connection), 0, lease="two")).states[0].used == 2


async def test_a_lost_node_loses_only_its_own_connections(mortal_cluster: Cluster) -> None:
    lost = mortal_cluster.nodes[1]
    homes = connections_of(mortal_cluster)
    async with opened(mortal_cluster) as store:
        for connection in homes:
            await call(store, bound_to(connection), 0, lease="one")
        lost.server.kill()
        for connection, home in homes.items():
            if home is lost:
                with pytest.raises(StoreUnavailable):
                    await call(store, bound_to(connection), 0, lease="two")
            else:
                assert (await call(store, bound_to(connection), 0, lease="two")).states[0].used == 2
        assert not store.status().available


async def test_a_lost_node_s_slots_are_followed_to_the_node_that_takes_them_over(mortal_cluster: Cluster) -> None:
    heir, lost, _ = mortal_cluster.nodes
    connection = connection_on(mortal_cluster, lost)
    async with opened(mortal_cluster) as store:
        await call(store, bound_to(connection), 0, lease="one")
        lost.server.kill()
        with pytest.raises(StoreUnavailable):
            await call(store, bound_to(connection), 0, lease="two")
        mortal_cluster.replace(lost, by=heir)

        async def decided() -> Decision | None:
            try:
                return await call(store, bound_to(connection), 0, lease="three")
            except StoreError:
                return None

        found = await eventually(decided, what="the heir to decide")
        assert found is not None and found.states[0].used == 1
        assert store.status().available, "a node that serves nothing any more is not missed"


async def test_a_cluster_that_was_lost_at_its_first_node_is_learnt_from_the_others(mortal_cluster: Cluster) -> None:
    lost = mortal_cluster.nodes[0]
    homes = connections_of(mortal_cluster)
    async with opened(mortal_cluster) as store:
        for connection in homes:
            await call(store, bound_to(connection), 0, lease="one")
        lost.server.kill()
        for connection, home in homes.items():
            if home is not lost:
                assert (await call(store, bound_to(connection), 0, lease="two")).allowed


async def test_a_cluster_that_is_not_there_is_unavailable() -> None:
    store = Store(ClusterPool(Address("127.0.0.1", free_port()), SOON))
    await store.open()
    assert not store.status().available
    with pytest.raises(StoreUnavailable):
        await call(store, bound_to(1), 0)
    await store.close()
