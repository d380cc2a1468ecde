"""GET /decisions/<id>: a refusal explained to its caller, and to those who read the record."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import Client as Browser
from django.urls import reverse

from dashboard import refusals
from limiter.core import decision_ids
from limiter.models import QuotaPolicy
from limiter.record.by_decision import event_of
from limiter.record.models import ThrottleEvent
from tests.api_client import person
from tests.asgi import Answered
from tests.limiter.gateway.conftest import Gateway
from tests.limiter.gateway.test_record import store_everything

pytestmark = pytest.mark.django_db(transaction=True)


async def explained(gateway: Gateway, key: str, decision_id: str) -> Answered:
    return await gateway.caller.call("GET", f"/decisions/{decision_id}", headers=[("X-API-Key", key)])


async def flood(gateway: Gateway, key: str, policy: QuotaPolicy, *, calls: int = 60) -> list[str]:
    """Refused calls, most of one second; the record has them."""
    await policy.limits.aupdate(quota=1)
    await gateway.invoke("lookupOrder", key=key)
    responses = [await gateway.invoke("lookupOrder", key=key) for _ in range(calls)]
    await gateway.recorded()
    await asyncio.to_thread(store_everything)
    return [response.json["decision_id"] for response in responses]


async def test_every_decision_id_of_a_flood_is_explained_to_its_caller(
    gateway: Gateway, acme_key: str, globex_key: str, base_policy: QuotaPolicy
) -> None:
    ids = await flood(gateway, acme_key, base_policy)
    found = [await explained(gateway, acme_key, decision_id) for decision_id in ids]
    assert {response.status for response in found} == {200} and len(set(ids)) == 60
    assert await ThrottleEvent.objects.acount() < 60
    assert [response.json["decision_id"] for response in found] == ids
    rows = {row.decision_id: row async for row in ThrottleEvent.objects.all()}
    for decision_id, response in zip(ids, found, strict=True):
        row = rows.get(decision_id)
        assert (response.json["one_of"] > 1) if row is None else (response.json["one_of"] == row.count)
    folded = [response.json for response in found if response.json["one_of"] > 1]
    assert folded[0]["sentence"].startswith(f"{folded[0]['one_of']} calls like this were refused: 1 of 1 units")
    for decision_id in (ids[0], ids[-1], ids[30]):
        assert (await explained(gateway, globex_key, decision_id)).status == 404


async def test_a_folded_decision_leads_to_its_row_through_the_api_and_the_pages(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy, admin_user: User
) -> None:
    ids = await flood(gateway, acme_key, base_policy)

    def look() -> None:
        stored = set(ThrottleEvent.objects.values_list("decision_id", flat=True))
        asked = next(decision_id for decision_id in ids if decision_id not in stored)
        found = person("limiter.view_throttleevent").get(f"/api/decisions/{asked}/").json()
        row = ThrottleEvent.objects.get(pk=found["event"]["id"])
        assert found["one_of"] == row.count > 1
        browser = Browser()
        browser.force_login(admin_user)
        page = browser.get(reverse("admin:limiter_throttleevent_changelist"), {"q": asked})
        assert [each.pk for each in page.context["cl"].queryset] == [row.pk]
        shown = browser.get(reverse("admin:limiter_throttleevent_change", args=[row.pk])).content.decode()
        assert f"one of {row.count} like it" in shown
        assert [line.event for line in refusals.page({"decision": asked}, tenant_ids=["acme"]).rows] == [row]
        assert refusals.page({"decision": asked}, tenant_ids=["globex"]).rows == []

    await sync_to_async(look)()


async def test_ids_that_lead_nowhere_get_404(gateway: Gateway, acme_key: str, base_policy: QuotaPolicy) -> None:
    (refused,) = await flood(gateway, acme_key, base_policy, calls=1)
    allowed = (await gateway.caller.call("POST", "/check/other", headers=[("X-API-Key", acme_key)])).json
    assert allowed["status"] == 404
    forged = refused[:1] + "0" * 15 + refused[16:]
    for decision_id in ("nobody", forged, "q" + "7" * 31, "0" * 33, "é"):
        assert (await explained(gateway, acme_key, decision_id)).status == 404, decision_id
    assert (await gateway.caller.call("GET", f"/decisions/{refused}")).status == 401


async def test_a_second_that_was_stored_in_two_parts_has_the_row_that_a_decision_is_in(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy
) -> None:
    ids = [*await flood(gateway, acme_key, base_policy), *await flood(gateway, acme_key, base_policy)]
    rows = {row.pk: row async for row in ThrottleEvent.objects.all()}
    for decision_id in ids:
        row = await sync_to_async(event_of)(decision_id, among=ThrottleEvent.objects.all())
        read = decision_ids.read(decision_id)
        assert row is not None and read is not None
        earlier = [each for each in rows.values() if each.count > 1 and _us(each.at) >= read.at_us]
        assert row.count == 1 or row.at == min(each.at for each in earlier)


def _us(at: datetime) -> int:
    return (at - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


async def test_a_row_that_an_earlier_release_stored_is_found(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy
) -> None:
    (refused,) = await flood(gateway, acme_key, base_policy, calls=1)
    read = decision_ids.read(refused)
    assert read is not None
    await ThrottleEvent.objects.aupdate(decision_id=read.half)
    assert await sync_to_async(event_of)(refused, among=ThrottleEvent.objects.all()) is not None
