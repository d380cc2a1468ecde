"""Resetting a counter: confirmed first, done at once for every worker, recorded, and nobody else's counter."""

from __future__ import annotations

import json
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from limiter.models import Assignment, AuditEntry, QuotaLimit, QuotaPolicy
from quota_platform.server.pages import Pages
from tenants.models import ApiKey, Tenant
from tests.asgi import Answered, Caller
from tests.limiter.gateway.conftest import Gateway, gateway, gateway_settings  # noqa: F401  fixtures
from tests.people import member

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/dashboard/api/actions/counters/"
ASKED: dict[str, Any] = {"tenant": "acme", "action": "lookupOrder", "limit": "minute", "reason": "OPS-7"}
TOKEN = "a" * 32


def cookie_of(user: User) -> str:
    client = Client()
    client.force_login(user)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    return f"{settings.SESSION_COOKIE_NAME}={session}; {settings.CSRF_COOKIE_NAME}={TOKEN}"


async def ask(gateway: Gateway, user: User, **changes: Any) -> Answered:  # noqa: F811
    app: Any = Pages()
    headers = [
        ("host", "testserver"),
        ("cookie", await sync_to_async(cookie_of)(user)),
        ("x-csrftoken", TOKEN),
        ("content-type", "application/json"),
    ]
    caller = Caller(app, {"runtime": gateway.runtime})
    return await caller.call("POST", URL, body=json.dumps({**ASKED, **changes}).encode(), headers=headers)


@pytest.fixture
def ana(acme: Tenant, globex: Tenant) -> User:
    return member("ana", acme)


async def entries() -> list[AuditEntry]:
    return [entry async for entry in AuditEntry.objects.filter(kind__startswith="counter.").order_by("position")]


async def left(gateway: Gateway, key: str) -> str:  # noqa: F811
    return (await gateway.invoke("lookupOrder", key=key)).headers["ratelimit"]


async def test_a_reset_is_confirmed_then_done_then_recorded(
    gateway: Gateway,  # noqa: F811
    ana: User,
    acme_key: str,
    base_policy: QuotaPolicy,
) -> None:
    for _ in range(3):
        data = await left(gateway, acme_key)
    assert "r=97" in data
    effect = (await ask(gateway, ana)).json["effect"]
    assert effect.startswith("Acme, lookupOrder: limit minute forgets the 3 of 100 units it holds,")
    assert "r=96" in await left(gateway, acme_key)
    assert not await entries()
    done = (await ask(gateway, ana, confirm=True)).json
    assert done == {"done": "Acme, lookupOrder: limit minute starts from zero again; it held 4 units."}
    assert "r=99" in await left(gateway, acme_key)
    (entry,) = await entries()
    assert (entry.kind, entry.tenant_id, entry.actor) == ("counter.reset", "acme", "ana")
    assert {name: entry.payload[name] for name in ("action_id", "limit_name", "used", "reason")} == {
        "action_id": "lookupOrder",
        "limit_name": "minute",
        "used": 4,
        "reason": "OPS-7",
    }


def limited(**fields: Any) -> None:
    policy = QuotaPolicy.objects.create(name="Other")
    QuotaLimit.objects.create(policy=policy, **{"name": "other", "quota": 5, "window_seconds": 60, **fields})
    Assignment.objects.create(policy=policy, target="default")


async def test_slots_of_running_calls_stay(gateway: Gateway, ana: User) -> None:  # noqa: F811
    await sync_to_async(limited)(algorithm="concurrency", window_seconds=None)
    response = await ask(gateway, ana, limit="other", confirm=True)
    assert response.status == 400 and "more run at once" in response.json["detail"]
    assert not await entries()


async def test_a_counter_shared_with_strangers_is_not_one_tenants_to_reset(
    gateway: Gateway,  # noqa: F811
    ana: User,
    admin_user: User,
    acme_key: str,
    globex: Tenant,
) -> None:
    await sync_to_async(limited)(counted_per="connection")
    await gateway.invoke("lookupOrder", key=acme_key)
    shared = {"limit": "other", "action": "", "confirm": True}
    response = await ask(gateway, ana, **shared)
    assert response.status == 400 and "do not see" in response.json["detail"]
    assert "it held 1 units" in (await ask(gateway, admin_user, **shared)).json["done"]


async def test_a_keys_counter_is_that_keys(gateway: Gateway, ana: User, acme: Tenant, acme_key: str) -> None:  # noqa: F811
    await sync_to_async(limited)(counted_per="key")
    _, other = await sync_to_async(ApiKey.objects.issue)(name="Other", tenant=acme)
    for key in (acme_key, other):
        await gateway.invoke("lookupOrder", key=key)
    prefix = acme_key.split("_")[1]
    named = {"limit": "other", "action": "", "confirm": True}
    assert "it held 1 units" in (await ask(gateway, ana, **named, key=prefix)).json["done"]
    assert "r=4" in await left(gateway, acme_key)
    assert "r=3" in await left(gateway, other)
    assert (await ask(gateway, ana, **named, key="abcdefghijkl")).status == 400


async def test_a_stranger_and_a_person_without_the_right_reset_nothing(
    gateway: Gateway,  # noqa: F811
    acme: Tenant,
    globex: Tenant,
    acme_key: str,
    base_policy: QuotaPolicy,
) -> None:
    await gateway.invoke("lookupOrder", key=acme_key)
    people = [
        await sync_to_async(member)("gil", globex),
        await sync_to_async(member)("leaf", acme, without=("reset_counter",)),
    ]
    for user in people:
        assert (await ask(gateway, user, confirm=True)).status == 403
    assert "r=98" in await left(gateway, acme_key)
    assert not await entries()


@pytest.mark.parametrize(
    "wrong", [{"reason": " "}, {"reason": "x" * 256}, {"limit": "none"}, {"action": "none"}, {"action": ""}]
)
async def test_a_reset_of_no_such_counter_is_refused(
    gateway: Gateway,  # noqa: F811
    ana: User,
    base_policy: QuotaPolicy,
    wrong: dict[str, Any],
) -> None:
    response = await ask(gateway, ana, **wrong, confirm=True)
    assert response.status == 400 and response.json["detail"]
    assert not await entries()
