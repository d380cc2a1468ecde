"""Keys that are none cost little: most are recognized without a look-up, the rest are looked up a few at a time."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from pytest_django import Settings

from limiter.gateway.callers import Callers
from limiter.gateway.runtime import GatewaySettings
from limiter.live.loader import Loader
from limiter.models import QuotaPolicy
from quota_platform.base import changes
from quota_platform.base.api import tokens
from quota_platform.base.failures import Failures
from quota_platform.base.lean.problem import Problem
from tenants import credentials
from tenants.models import ApiKey, Tenant
from tests.asgi import Answered
from tests.limiter.gateway.conftest import Gateway

MOST = 5


@pytest.fixture
def gateway_settings() -> GatewaySettings:
    return GatewaySettings(failed_keys_per_minute=MOST)


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The prefixes that were looked for in cache and database."""
    found: list[str] = []
    keys = Loader.keys

    def noted(self: Loader, prefixes: Any) -> Any:
        found.extend(prefixes)
        return keys(self, prefixes)

    monkeypatch.setattr(Loader, "keys", noted)
    return found


def old_key(number: int) -> str:
    return f"qk_{number:012}_" + "A" * 43


def forged_key(number: int) -> str:
    body = old_key(number) + "A" * 6
    return body + credentials.checksum(body)


async def call(gateway: Gateway, key: str, client: str = "192.0.2.7") -> Answered:
    return await gateway.invoke("lookupOrder", key=key, client=client)


async def test_a_key_whose_checksum_is_wrong_is_never_looked_up(gateway: Gateway, looked_up: list[str]) -> None:
    assert (await call(gateway, forged_key(1)[:-1] + "!")).status == 401
    assert (await call(gateway, old_key(1) + "A" * 12)).status == 401
    assert looked_up == []


@pytest.mark.parametrize("made_up", [old_key, forged_key])
async def test_made_up_keys_of_one_address_are_looked_up_until_it_has_failed_too_often(
    gateway: Gateway, looked_up: list[str], made_up: Any
) -> None:
    responses = [await call(gateway, made_up(number)) for number in range(MOST + 20)]
    assert [response.status for response in responses] == [401] * MOST + [429] * 20
    assert len(looked_up) == MOST
    last = responses[-1]
    assert last.json["type"] == "urn:quota-platform:problem:too-many-failed-keys"
    assert last.headers["content-type"] == "application/problem+json"
    assert 1 <= int(last.headers["retry-after"]) <= 60 // MOST
    assert (await call(gateway, made_up(999), "192.0.2.8")).status == 401


async def test_malformed_revoked_and_wrong_keys_count_too(gateway: Gateway, acme: Tenant, acme_key: str) -> None:
    row, revoked = await asyncio.to_thread(ApiKey.objects.issue, name="old", tenant=acme)
    await asyncio.to_thread(row.revoke)
    keys = ["nonsense", revoked, old_key(1), forged_key(1), acme_key[:-1] + "!"]
    assert [(await call(gateway, key)).status for key in keys] == [401] * MOST
    assert {(await call(gateway, key)).status for key in keys} == {429}
    assert (await call(gateway, "")).status == 401, "who presents no key has not failed with one"


async def test_an_ipv6_network_is_one_caller(gateway: Gateway) -> None:
    for number in range(MOST):
        assert (await call(gateway, "nonsense", f"2001:db8::{number:x}")).status == 401
    assert (await call(gateway, "nonsense", "2001:db8:0:0:ffff::1")).status == 429
    assert (await call(gateway, "nonsense", "2001:db8:0:1::1")).status == 401


async def test_behind_a_trusted_proxy_each_caller_is_counted_apart(gateway: Gateway, settings: Settings) -> None:
    settings.ENV = settings.ENV.model_copy(update={"TRUSTED_PROXIES": ["10.0.3.1"]})

    async def status(caller: str) -> int:
        headers = {"X-Forwarded-For": caller}
        return (await gateway.invoke("lookupOrder", key="nonsense", client="10.0.3.1", headers=headers)).status

    assert [await status("192.0.2.7") for _ in range(MOST + 1)] == [401] * MOST + [429]
    assert await status("192.0.2.8") == 401


async def test_a_valid_key_passes_whatever_its_neighbours_do(
    gateway: Gateway, acme: Tenant, acme_key: str, base_policy: QuotaPolicy
) -> None:
    """One that nobody has used here is looked up too, for the mark shows that it was not made up."""
    _, another = await asyncio.to_thread(ApiKey.objects.issue, name="cold", tenant=acme)
    assert (await call(gateway, acme_key)).status == 200
    for number in range(MOST + 1):
        await call(gateway, old_key(number))
    assert (await call(gateway, old_key(7))).status == 429
    assert (await call(gateway, acme_key)).status == 200
    assert (await call(gateway, another)).status == 200


async def test_a_key_of_the_old_form_goes_on_working(
    gateway: Gateway, acme: Tenant, base_policy: QuotaPolicy, looked_up: list[str]
) -> None:
    token = old_key(42)
    prefix = credentials.prefix_of(token) or ""
    key = ApiKey(name="old", tenant=acme, prefix=prefix, digest=credentials.digest(token))
    await key.asave()
    # An entry edited while it is loaded is loaded once more.
    await gateway.runtime.snapshot.reached(await sync_to_async(changes.latest_id)())
    assert (await call(gateway, token)).status == 200
    assert (await call(gateway, token[:-1] + "B")).status == 401
    assert (await call(gateway, token)).status == 200
    assert looked_up == [key.prefix]


@dataclass(frozen=True)
class From:
    caller_address: str


async def test_made_up_keys_from_everywhere_do_not_keep_the_database_busy(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy, looked_up: list[str]
) -> None:
    await gateway.runtime.snapshot.reached(await sync_to_async(changes.latest_id)())
    at_once = Failures(most=3, seconds=1, clock=lambda: 0.0)
    callers = Callers(gateway.runtime.snapshot, failed=Failures(most=MOST), clock=time.time, failed_look_ups=at_once)
    statuses = []
    for number in range(10):
        with pytest.raises(Problem) as refused:
            await callers.identify(old_key(number), "", From(f"198.51.100.{number}"))
        statuses.append(refused.value.status)
    made_up_ones = [prefix for prefix in looked_up if prefix != credentials.prefix_of(acme_key)]
    assert (statuses, len(made_up_ones)) == ([401] * 3 + [503] * 7, 3)
    assert (await callers.identify(acme_key, "", From("198.51.100.99"))).entry.tenant.tenant_id == "acme"


async def test_made_up_keys_that_come_at_once_wait_for_each_other(
    gateway: Gateway, acme: Tenant, base_policy: QuotaPolicy, looked_up: list[str]
) -> None:
    responses = await asyncio.gather(*[call(gateway, old_key(number)) for number in range(100)])
    assert {response.status for response in responses} == {401, 429}
    assert MOST <= len(looked_up) < 50, "those under way when the last failure was used up, not all"


async def test_prometheus_counts_failed_keys(gateway: Gateway) -> None:
    for _ in range(MOST + 3):
        await call(gateway, "nonsense")
    tokens.presented().note(b"wrong", "192.0.2.7", valid=False)
    await gateway.runtime.heartbeat.report()
    token = django_settings.ENV.METRICS_TOKEN.get_secret_value()
    page = await gateway.caller.call("GET", "/metrics", headers=[("Authorization", f"Bearer {token}")])
    text = page.body.decode()
    worker = gateway.runtime.heartbeat.name
    assert f'quota_failed_keys_total{{status="401",worker="{worker}"}} {MOST}.0' in text
    assert f'quota_failed_keys_total{{status="429",worker="{worker}"}} 3.0' in text
    wrong = tokens.presented().failures.counts.invalid
    assert f'quota_failed_tokens_total{{status="401",worker="{worker}"}} {wrong}.0' in text


def test_failures_are_forgotten_one_by_one_and_in_time_all() -> None:
    now = 1000.0
    failed = Failures(most=2, seconds=60, clock=lambda: now)
    failed.note("192.0.2.7")
    assert failed.wait_us("192.0.2.7") == 0
    failed.note("192.0.2.7")
    assert failed.wait_us("192.0.2.7") == 30_000_000
    now += 30
    assert failed.wait_us("192.0.2.7") == 0
    failed.note("192.0.2.7")
    assert failed.wait_us("192.0.2.7") == 30_000_000
    now += 60
    failed.note("192.0.2.7")
    assert failed.wait_us("192.0.2.7") == 0


def test_what_failed_at_the_same_time_is_waited_for_afterwards() -> None:
    now = 1000.0
    failed = Failures(most=2, seconds=60, clock=lambda: now)
    for _ in range(10):
        failed.note("192.0.2.7")
    assert failed.wait_us("192.0.2.7") == 270_000_000


def test_callers_who_failed_long_ago_make_room() -> None:
    failed = Failures(most=1, clock=lambda: 0.0)
    for number in range(10_001):
        failed.note(f"198.51.{number // 256}.{number % 256}")
    assert failed.wait_us("198.51.0.0") == 0
    assert failed.wait_us("198.51.0.1") > 0
