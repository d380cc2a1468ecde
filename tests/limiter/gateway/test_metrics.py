"""GET /metrics/<tenant>/<action> and GET /metrics: who may read, and the values."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any

import pytest
import redis
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import Settings

from limiter.core import in_flight, keys
from limiter.core.adaptive import StoredEvidence
from limiter.core.ends import LearningSettings
from limiter.core.learned import Mode, State
from limiter.core.pacing import learn
from limiter.core.pausing import pause
from limiter.core.types import MICROS, PPM
from limiter.gateway import heartbeat, prometheus, scrape
from limiter.models import QuotaPolicy
from limiter.stores.errors import StoreUnavailable
from limiter.upstream import health
from limiter.upstream.breaker import BreakerState
from limiter.upstream.call import UnitStatus
from limiter.upstream.health import ConnectionFault
from quota_platform.base.lean.problem import Problem
from quota_platform.openapi.gateway import gateway_routes
from quota_platform.server.guard import Guard, Seat
from tenants.models import Membership, Tenant
from tests.asgi import Answered
from tests.limiter.core.given import store_at
from tests.limiter.gateway.conftest import Gateway

pytestmark = pytest.mark.django_db(transaction=True)


async def read(gateway: Gateway, **headers: str) -> Answered:
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return await gateway.caller.call("GET", "/metrics/acme/lookupOrder", headers=named)


async def test_a_tenant_reads_its_own_consumption_under_the_promised_names(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy
) -> None:
    await gateway.invoke("lookupOrder", key=acme_key)
    answered = await read(gateway, X_API_Key=acme_key)
    data = answered.json
    limits = data.pop("limits")
    adaptive = data.pop("adaptive")
    assert data == {
        "tenant_id": "acme",
        "action_id": "lookupOrder",
        "current_usage": 1,
        "base_quota": 100,
        "adaptive_multiplier": 1.0,
        "effective_quota": 100,
        "window_seconds": 60,
        "degraded": False,
    }
    assert (adaptive["threshold_ms"], adaptive["p95_ms"]) == (800, None)
    assert (limits[0]["name"], limits[0]["used"], limits[0]["policy"]) == ("minute", 1, "Base")


async def test_the_strangers_key_reads_nothing(gateway: Gateway, acme: Tenant, globex_key: str) -> None:
    assert (await read(gateway, X_API_Key=globex_key)).status == 403
    assert (await read(gateway)).status == 401


@pytest.fixture
def people(acme: Tenant, globex: Tenant) -> dict[str, str]:
    """Session cookies of Acme's ana, of Globex's gil, of bob who belongs to Acme without a right, and of root."""
    cookies = {}
    for name, tenant in (("ana", acme), ("gil", globex), ("bob", acme), ("root", None)):
        user = User.objects.create_user(name, is_staff=True, is_superuser=tenant is None)
        if tenant is not None:
            Membership.objects.create(user=user, tenant=tenant)
        if name in ("ana", "gil"):
            user.user_permissions.add(Permission.objects.get(codename="view_tenant"))
        client = Client()
        client.force_login(user)
        cookies[name] = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
    return cookies


async def test_a_signed_in_person_reads_of_their_own_tenants_with_the_right(
    gateway: Gateway, base_policy: QuotaPolicy, people: dict[str, str]
) -> None:
    assert (await read(gateway, Cookie=people["ana"])).json["base_quota"] == 100
    for stranger in ("gil", "bob"):
        assert (await read(gateway, Cookie=people[stranger])).status == 403
    assert (await read(gateway, Cookie=f"{settings.SESSION_COOKIE_NAME}=forged")).status == 401
    for name, status in (("ana", 403), ("root", 404)):
        unknown = await gateway.caller.call("GET", "/metrics/nobody/x", headers=[("Cookie", people[name])])
        assert unknown.status == status


async def test_a_membership_that_is_taken_away_closes_the_door(
    gateway: Gateway, base_policy: QuotaPolicy, people: dict[str, str]
) -> None:
    await Membership.objects.filter(user__username="ana").adelete()
    assert (await read(gateway, Cookie=people["ana"])).status == 403


async def test_prometheus_needs_the_token(gateway: Gateway, acme_key: str) -> None:
    for headers in ([], [("Authorization", "Bearer wrong")], [("Authorization", f"Bearer {acme_key}")]):
        assert (await gateway.caller.call("GET", "/metrics", headers=headers)).status == 401


async def test_prometheus_counts_what_callers_saw(
    gateway: Gateway, acme_key: str, globex_key: str, base_policy: QuotaPolicy
) -> None:
    for _ in range(102):
        await gateway.invoke("lookupOrder", key=acme_key)
    await gateway.invoke("createCase", key=globex_key)
    await gateway.recorded()
    await gateway.runtime.heartbeat.report()
    token = settings.ENV.METRICS_TOKEN.get_secret_value()
    answered = await gateway.caller.call("GET", "/metrics", headers=[("Authorization", f"Bearer {token}")])
    text = answered.body.decode()
    for line in (
        'quota_decisions_total{decision="allowed",tenant="acme"} 100.0',
        'quota_decisions_total{decision="refused",tenant="acme"} 2.0',
        'quota_decisions_total{decision="allowed",tenant="globex"} 1.0',
        'quota_outcomes_total{outcome="answered",tenant="acme"} 100.0',
        'quota_upstream_latency_seconds_count{tenant="acme"} 100.0',
        "quota_throttle_events_waiting 2.0",
        "quota_workers 1.0",
    ):
        assert line in text
    assert 'quota_store_round_trip_seconds_bucket{le="+Inf",worker="' in text
    assert acme_key not in text


async def test_prometheus_says_how_long_a_connection_s_calls_are_held_back(
    gateway: Gateway, acme: Tenant, acme_key: str, base_policy: QuotaPolicy
) -> None:
    unit = UnitStatus("unit", 1, 0, 0, 0, BreakerState.CLOSED, id=acme.connection_id)
    gateway.upstream.seen = {"uid": unit}
    await gateway.invoke("lookupOrder", key=acme_key)
    await gateway.runtime.heartbeat.report()
    token = [("Authorization", f"Bearer {settings.ENV.METRICS_TOKEN.get_secret_value()}")]

    async def paused_s() -> float:
        page = (await gateway.caller.call("GET", "/metrics", headers=token)).body.decode()
        return float(page.partition('quota_connection_paused_seconds{connection="unit"} ')[2].split()[0])

    assert await paused_s() == 0
    await pause(gateway.runtime.store, acme.connection_id, status=429, said_us=900 * MICROS, max_us=10**9)
    assert 600 < await paused_s() <= 900


async def test_every_worker_reports_a_connection_that_one_of_them_cannot_use(
    gateway: Gateway, redis_url: str, acme: Tenant
) -> None:
    gateway.upstream.seen = {"uid": UnitStatus("unit", 1, 1, 0, 0, BreakerState.CLOSED, id=acme.connection_id)}
    await gateway.runtime.heartbeat.report()
    gateway.upstream.seen = {}  # the worker that is scraped has sent no call to it
    fault = ConnectionFault("invalid_client", since=1.0, retry_at=2.0, failures=1, lasting=True, fingerprint="f")
    with redis.Redis.from_url(redis_url) as client:
        client.set(keys.health("uid"), health.dump(fault))
    token = [("Authorization", f"Bearer {settings.ENV.METRICS_TOKEN.get_secret_value()}")]
    page = (await gateway.caller.call("GET", "/metrics", headers=token)).body.decode()
    assert 'quota_connection_healthy{connection="unit"} 0.0' in page


def test_the_page_leaves_out_what_nobody_can_tell() -> None:
    found = scrape.Gathered(now=100.0)
    found.workers["w"] = heartbeat.FORM.load(heartbeat.FORM.dump({"at": 99.0, "upstream": {"uid": {"name": "unit"}}}))
    for tenant, p95_us, until_s in (("fresh", 250_000, 200), ("past", 900_000, 50), ("few", 0, 200)):
        found.totals[tenant]["allowed"] = 1
        found.evidence[tenant, ""] = StoredEvidence(PPM, PPM, p95_us, 5, 800_000, 0, 1, until_s * MICROS)

    def lines(name: str) -> set[str]:
        page = prometheus.page(found, max_tenants=10).decode()
        return {line for line in page.splitlines() if line.startswith(name)}

    assert lines("quota_upstream_p95_seconds") == {'quota_upstream_p95_seconds{action="",tenant="fresh"} 0.25'}
    assert lines("quota_connection_healthy") == set() == lines("quota_store_connected_clients")
    found.faults, found.connected_clients = (), 7
    assert lines("quota_connection_healthy") == {'quota_connection_healthy{connection="unit"} 1.0'}
    assert lines("quota_store_connected_clients") == {"quota_store_connected_clients 7.0"}


def test_what_only_grows_is_a_counter_and_keeps_its_earlier_name_for_a_release() -> None:
    found = scrape.Gathered(now=100.0)
    for worker, calls in (("a", 3), ("b", 4)):
        unit = {"name": "unit", "calls": calls}
        beat = {"at": 99.0, "upstream": {"uid": unit}, "store": {"failures": 2}, "unreadable": {"run": 1}}
        found.workers[worker] = heartbeat.FORM.load(heartbeat.FORM.dump(beat))
    lines = prometheus.page(found, max_tenants=1).decode().splitlines()
    for line in (
        "# TYPE quota_connection_calls_total counter",
        'quota_connection_calls_total{connection="unit",worker="a"} 3.0',
        'quota_connection_calls_total{connection="unit",worker="b"} 4.0',
        "# TYPE quota_connection_calls gauge",
        'quota_connection_calls{connection="unit"} 7.0',
        "# TYPE quota_store_failures_total counter",
        'quota_store_failures_total{worker="a"} 2.0',
        'quota_store_failures{worker="a"} 2.0',
        "# TYPE quota_records_lost_total counter",
        'quota_unreadable_values_total{kind="run",worker="b"} 1.0',
    ):
        assert line in lines


async def test_the_example_of_the_page_in_the_api_s_document_is_a_line_of_it(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy
) -> None:
    await gateway.invoke("lookupOrder", key=acme_key)
    await gateway.runtime.heartbeat.report()
    token = [("Authorization", f"Bearer {settings.ENV.METRICS_TOKEN.get_secret_value()}")]
    page = (await gateway.caller.call("GET", "/metrics", headers=token)).body.decode()
    route = gateway_routes({"paths": {}})["paths"]["/metrics"]["get"]
    *documented, line = route["responses"]["200"]["content"]["text/plain"]["example"].splitlines()
    assert set(documented) <= set(page.splitlines())
    assert line.split()[0] in page


async def test_evidence_that_cannot_be_read_is_null_and_not_zero(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(stack: object) -> None:
        raise StoreUnavailable("the store cannot be read now")

    assert (await read(gateway, X_API_Key=acme_key)).json["adaptive"]["samples"] == 0
    monkeypatch.setattr(gateway.runtime.store, "evidence", unavailable)
    adaptive = (await read(gateway, X_API_Key=acme_key)).json["adaptive"]
    assert [adaptive[name] for name in ("p95_ms", "samples", "pushed_back")] == [None] * 3


async def test_prometheus_has_the_pace_that_a_connection_is_held_at(
    gateway: Gateway, acme: Tenant, acme_key: str, base_policy: QuotaPolicy
) -> None:
    gateway.upstream.seen = {"uid": UnitStatus("unit", 1, 0, 0, 0, BreakerState.CLOSED, id=acme.connection_id)}
    await gateway.invoke("lookupOrder", key=acme_key)
    await gateway.runtime.heartbeat.report()
    token = [("Authorization", f"Bearer {settings.ENV.METRICS_TOKEN.get_secret_value()}")]
    line = 'quota_connection_pace_per_minute{connection="unit"} 30.0'

    async def page() -> str:
        return (await gateway.caller.call("GET", "/metrics", headers=token)).body.decode()

    assert line not in await page()
    await learn(gateway.runtime.store, acme.connection_id, ran=1, held=0, pushed_back=0, mode="30")
    assert line in await page()


async def test_prometheus_has_the_limit_that_a_connection_has_learned(
    gateway: Gateway, acme: Tenant, acme_key: str, base_policy: QuotaPolicy
) -> None:
    gateway.upstream.seen = {"uid": UnitStatus("unit", 1, 0, 0, 0, BreakerState.CLOSED, id=acme.connection_id)}
    await gateway.invoke("lookupOrder", key=acme_key)
    await gateway.runtime.heartbeat.report()
    token = [("Authorization", f"Bearer {settings.ENV.METRICS_TOKEN.get_secret_value()}")]

    async def lines() -> set[str]:
        page = (await gateway.caller.call("GET", "/metrics", headers=token)).body.decode()
        return {line for line in page.splitlines() if line.startswith("quota_connection_in_flight")}

    assert await lines() == set()
    state, name = State(mode=Mode.FOLLOWING, limit=5.7, in_flight=4), keys.in_flight(acme.connection_id)
    await gateway.runtime.store.command("SET", name, in_flight.write(state, LearningSettings()), key=name)
    of = {mode: f'{{connection="unit",state="{mode}"}}' for mode in Mode}
    assert await lines() == {
        'quota_connection_in_flight_limit{connection="unit"} 5.0',
        'quota_connection_in_flight{connection="unit"} 4.0',
        f"quota_connection_in_flight_state{of[Mode.FOLLOWING]} 1.0",
        *(f"quota_connection_in_flight_state{of[mode]} 0.0" for mode in Mode if mode is not Mode.FOLLOWING),
    }


async def test_prometheus_and_readiness_say_what_waits_for_celery(gateway: Gateway, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        for sent_at in (time.time() - 3_600, time.time()):
            client.lpush("celery:celery", json.dumps({"properties": {"timestamp": sent_at}}))
        client.lpush("celery:periodic.prune", "of a release that writes no time")
    token = [("Authorization", f"Bearer {settings.ENV.METRICS_TOKEN.get_secret_value()}")]
    page = (await gateway.caller.call("GET", "/metrics", headers=token)).body.decode()
    ready = (await gateway.caller.call("GET", "/readyz", headers=token)).json["checks"]["queue"]
    assert "quota_queue_waiting 3.0" in page
    assert ready["waiting"] == 3
    assert ready["oldest_s"] >= 3_600


async def test_prometheus_counts_what_the_server_rejects(gateway: Gateway) -> None:
    guard = Guard()
    seat = guard.admit("192.0.2.1")
    assert isinstance(seat, Seat)
    guard.count(Problem(413, "body-too-large", "Too large."), peer="192.0.2.1")
    gateway.runtime.heartbeat.server = guard.status
    await gateway.runtime.heartbeat.report()
    token = [("Authorization", f"Bearer {settings.ENV.METRICS_TOKEN.get_secret_value()}")]
    text = (await gateway.caller.call("GET", "/metrics", headers=token)).body.decode()
    worker = gateway.runtime.heartbeat.name
    assert f'quota_server_rejections_total{{type="body-too-large",worker="{worker}"}} 1.0' in text
    assert f'quota_server_connections{{worker="{worker}"}} 1.0' in text
    seat.release()


async def test_head_is_get_of_which_the_server_sends_the_head(gateway: Gateway) -> None:
    for path in ("/healthz", "/readyz"):
        assert (await gateway.caller.call("HEAD", path)).status == (await gateway.caller.call("GET", path)).status


async def test_a_scrape_reads_very_many_tenants_in_parts(redis_url: str) -> None:
    store = store_at(redis_url)
    name = keys.totals(1)
    for start in range(0, 5_000, 500):
        pairs = [part for n in range(start, start + 500) for part in (f"t{n:04}|allowed", n)]
        await store.command("HSET", name, *pairs, key=name)
    await store.command("SADD", keys.connections(), 1, key=keys.connections())
    sizes: list[int] = []
    command = store.command

    async def sized(*words: Any, key: str) -> Any:
        reply = await command(*words, key=key)
        if words[0] in ("HSCAN", "HGETALL"):
            sizes.append(len(reply[1]) if words[0] == "HSCAN" else len(reply))
        return reply

    store.command = sized  # type: ignore[method-assign]
    found = await scrape.gather(store)
    assert found.totals["t4999"] == {"allowed": 4_999} and len(found.totals) == 5_000
    assert max(sizes) <= 2_000
    await store.close()


async def test_a_scrape_of_many_connections_waits_for_the_store_a_few_times(redis_url: str) -> None:
    store = store_at(redis_url)
    for connection in range(1, 41):
        await store.command("SADD", keys.connections(), connection, key=keys.connections())
        name = keys.totals(connection)
        await store.command("HSET", name, f"t{connection}|allowed", 1, key=name)
    command, out, most, rounds = store.command, 0, 0, 0

    async def watched(*words: Any, key: str) -> Any:
        nonlocal out, most, rounds
        rounds, out = rounds + (out == 0), out + 1
        most = max(most, out)
        try:
            return await command(*words, key=key)
        finally:
            out -= 1

    store.command = watched  # type: ignore[method-assign]
    found = await scrape.gather(store)
    assert sum(counts["allowed"] for counts in found.totals.values()) == 40
    assert rounds <= 10, "four times ten connections, of the record and of the counts, and the first commands"
    assert most <= 60, "the store serves calls between a few commands"
    await store.close()


async def test_the_page_of_a_scrape_is_not_written_on_the_loop() -> None:
    writing = asyncio.ensure_future(prometheus.written(scrape.Gathered(), max_tenants=1))
    await asyncio.sleep(0)
    assert not writing.done()
    assert b"quota_workers" in await writing


@pytest.fixture(name="changed")
def _changed(settings: Settings) -> Settings:
    return settings


def labelled(text: bytes) -> set[str]:
    return set(re.findall(r'tenant="([^"]+)"', text.decode()))


def test_the_page_names_the_tenants_with_the_most_calls_and_counts_all() -> None:
    found = scrape.Gathered()
    for number in range(50):
        counts = {"allowed": number, "refused": 1, "answered": number, "waited": 1, "returned": 2, "ms8": number}
        found.totals[f"t{number:02}"].update(counts)
        found.evidence[f"t{number:02}", "lookupOrder"] = StoredEvidence(PPM, PPM, 1_000, 1, 800_000, 0, 1, 2)
    page = prometheus.page(found, max_tenants=3)
    assert labelled(page) == {"t47", "t48", "t49"}
    assert b'quota_all_decisions_total{decision="allowed"} 1225.0' in page
    assert b'quota_all_decisions_total{decision="refused"} 50.0' in page
    assert b"quota_tenants_called 50.0" in page and b"quota_tenants_named 3.0" in page
    assert labelled(prometheus.page(found, max_tenants=0)) == set()
    assert len(labelled(prometheus.page(found, max_tenants=50))) == 50


def test_the_lines_of_the_page_do_not_grow_with_the_tenants() -> None:
    lines = []
    for tenants in (20, 2_000):
        found = scrape.Gathered()
        for number in range(tenants):
            found.totals[f"t{number}"].update({"allowed": number, "ms8": 1})
        lines.append(prometheus.page(found, max_tenants=20).count(b"\n"))
    assert lines[0] == lines[1]


async def test_the_setting_bounds_the_names(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy, changed: Settings
) -> None:
    await gateway.invoke("lookupOrder", key=acme_key)
    await gateway.recorded()
    await gateway.runtime.heartbeat.report()
    headers = [("Authorization", f"Bearer {settings.ENV.METRICS_TOKEN.get_secret_value()}")]
    assert labelled((await gateway.caller.call("GET", "/metrics", headers=headers)).body) == {"acme"}
    changed.ENV = settings.ENV.model_copy(update={"METRICS_MAX_TENANTS": 0})
    assert labelled((await gateway.caller.call("GET", "/metrics", headers=headers)).body) == set()
