"""Probes answer during a rolling upgrade, whatever the other release's workers and tasks report."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from django.conf import settings

from limiter.core import keys
from limiter.core.peers import SETTLED
from tests import releases
from tests.asgi import Answered
from tests.limiter.gateway.conftest import Gateway
from tests.releases import first

pytestmark = pytest.mark.django_db(transaction=True)
SHARED = releases.sample(releases.FIRST, "shared")
((_, BEAT),) = SHARED["store"][keys.workers()]["value"].items()
RUNS: dict[str, str] = SHARED["store"][keys.tasks()]["value"]


async def data(gateway: Gateway, *, beats: Mapping[str, str], runs: Mapping[str, str]) -> tuple[Answered, Answered]:
    """What /readyz and /metrics answer when other processes have written this."""
    for key, values in ((keys.workers(), beats), (keys.tasks(), runs)):
        for name, value in values.items():
            await gateway.runtime.store.command("HSET", key, name, value, key=key)
    await gateway.runtime.heartbeat.report()
    bearer = [("authorization", f"Bearer {settings.ENV.METRICS_TOKEN.get_secret_value()}")]
    ready = await gateway.caller.call("GET", "/readyz", headers=bearer)
    return ready, await gateway.caller.call("GET", "/metrics", headers=bearer)


def beat(**more: Any) -> str:
    """The first release's, of this moment, with more in it."""
    return json.dumps({**json.loads(BEAT), "at": time.time(), **more})


async def test_the_first_release_s_workers_and_tasks_are_reported(gateway: Gateway) -> None:
    ready, page = await data(gateway, beats={"old": beat()}, runs=RUNS)
    assert ready.json["checks"]["record"]["tasks"]["prune"]["succeeded"] is False
    text = page.body.decode()
    for line in (
        "quota_workers 2.0",
        'quota_snapshot_seq{worker="old"} 9.0',
        'quota_connection_calls_total{connection="sandbox",worker="old"} 7.0',
        'quota_store_round_trip_seconds_count{worker="old"} 1.0',
        'quota_task_ok{task="store_events"} 1.0',
    ):
        assert line in text


async def test_a_newer_release_s_are_reported_as_far_as_they_are_understood(gateway: Gateway) -> None:
    run = json.dumps({**json.loads(RUNS["store_events"]), "v": 7, "host": "b"})
    ready, page = await data(gateway, beats={"new": beat(v=7, zone={"of": "another"})}, runs={"store_events": run})
    assert ready.json["checks"]["record"]["tasks"]["store_events"]["succeeded"] is True
    text = page.body.decode()
    assert 'quota_snapshot_seq{worker="new"} 9.0' in text and 'quota_task_ok{task="store_events"} 1.0' in text


async def test_the_first_release_s_workers_count_among_those_that_share_a_limit(gateway: Gateway) -> None:
    runtime = gateway.runtime
    killed = {"killed": beat(at=time.time() - 60), "odd": "{"}
    await data(gateway, beats={"old": beat(), "older": beat(), **killed}, runs={})
    for _ in range(SETTLED):
        await runtime.heartbeat.report()
    assert runtime.peers.known == 3


NONSENSE = ["{", "[]", "{}", '{"at": "noon"}', '{"at": null, "ok": 1}', '{"v": "x", "at": 1, "ok": true}', '"\\ud800"']
CHANGED: list[dict[str, Any]] = [
    {"snapshot": None, "store": 7, "records": [], "round_trips": {"bounds": [1], "counts": ["x"]}},
    {"snapshot": {"seq": "9", "problems": 3}, "upstream": {"u": None, "w": {"name": 3, "calls": "many"}}},
    {"waiting": {"calls": 1, "tenants": {"acme": "many"}}},
    {"upstream": [], "unreadable": {"a": "b"}, "round_trips": {"counts": [1, 2, 3]}, "degraded_since": "now"},
]


async def test_an_unreadable_value_makes_no_probe_a_500_and_is_counted(gateway: Gateway) -> None:
    store = gateway.runtime.store
    foreign = {f"w{number}": text for number, text in enumerate([*NONSENSE, *(beat(**each) for each in CHANGED)])}
    await store.command("SADD", keys.connections(), "1", "{new}", key=keys.connections())
    odd: dict[str, dict[str | bytes, str | bytes]] = {
        keys.evidence(1): {"acme|": "soon", "acme|x": "1|2", "acme|y": "=9=1|1|1|1|1|1|1|1", b"\xff|": b"\xff"},
        keys.totals(1): {"acme|allowed": "several", "acme|msec": "3", "odd": "1", "acme|ms3": "1"},
    }
    for key, values in odd.items():
        for field, value in values.items():
            await store.command("HSET", key, field, value, key=key)
    ready, page = await data(
        gateway, beats=foreign, runs={**RUNS, **{f"t{n}": text for n, text in enumerate(NONSENSE)}}
    )
    assert ready.status in (200, 503) and page.status == 200
    assert sorted(ready.json["checks"]["record"]["tasks"]) == ["prune", "store_events"]
    await gateway.runtime.heartbeat.report()
    page = await gateway.caller.call(
        "GET", "/metrics", headers=[("authorization", f"Bearer {settings.ENV.METRICS_TOKEN.get_secret_value()}")]
    )
    text = page.body.decode()
    assert "quota_workers 5.0" in text
    for kind in ("heartbeat", "run", "evidence"):
        assert f'quota_unreadable_values_total{{kind="{kind}",worker="{gateway.runtime.heartbeat.name}"}}' in text


async def test_the_first_release_reads_this_one_s_heartbeats(gateway: Gateway, acme_key: str) -> None:
    await gateway.invoke("lookupOrder", key=acme_key)
    await gateway.runtime.heartbeat.report()
    store = gateway.runtime.store
    (text,) = await store.command("HVALS", keys.workers(), key=keys.workers())
    numbers, _, trips, _ = first.heartbeat(text)
    assert len(numbers) == 11 and sum(count for _, count in trips) == 1
