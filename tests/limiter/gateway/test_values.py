"""A limit that counts by a value of the call: how a value is read and shown, and that nobody gets around the limit."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from limiter import clients
from limiter.core import keys
from limiter.models import Assignment, QuotaLimit, QuotaPolicy, ThrottleEvent
from limiter.record import keeping
from limiter.upstream import errors
from quota_platform.sandbox import Running
from tenants.models import Tenant
from tests.asgi import Answered
from tests.limiter.gateway.conftest import Gateway
from tests.limiter.gateway.two_workers import TwoWorkers
from tests.patience import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def limited(acme: Tenant, **fields: Any) -> QuotaLimit:
    """Everybody's limit of two calls an hour for each contact."""
    policy = QuotaPolicy.objects.create(name="Contacts", adaptive=False)
    values = {"name": "contact", "quota": 2, "window_seconds": 3600, "counted_by": "/contactId"}
    limit = QuotaLimit.objects.create(policy=policy, **values | fields)
    Assignment.objects.create(policy=policy, target="default")
    return limit


@pytest.fixture
def per_contact(acme: Tenant) -> QuotaLimit:
    return limited(acme)


async def invoked(gateway: Gateway, key: str, body: bytes, **headers: str) -> Answered:
    return await gateway.invoke("lookupOrder", key=key, body=body, headers=headers)


async def statuses(gateway: Gateway, key: str, *bodies: bytes) -> list[int]:
    return [(await invoked(gateway, key, body)).status for body in bodies]


async def test_each_contact_has_a_count_of_its_own_however_its_number_is_written(
    gateway: Gateway, acme_key: str, per_contact: QuotaLimit
) -> None:
    bodies = [b'{"contactId": 7}', b'{"contactId": "7"}', b'{"contactId": 7.0}', b'{"contactId": 8}']
    assert await statuses(gateway, acme_key, *bodies) == [200, 200, 429, 200]


async def test_leaving_the_value_out_gets_nobody_around_the_limit(
    gateway: Gateway, acme_key: str, per_contact: QuotaLimit
) -> None:
    bodies = [b"", b'{"contactid": 7}', b'{"contactId": {"id": 7}}', b'{"contactId": null}', b"[]", b"7"]
    assert await statuses(gateway, acme_key, *bodies) == [200, 200, 429, 429, 429, 429]
    twice = await invoked(gateway, acme_key, b'{"contactId": 7, "contactId": 8}')
    assert (twice.status, twice.json["detail"]) == (422, "contactId stands twice in one object; send it once.")
    assert (await invoked(gateway, acme_key, b'{"contactId": 7}')).status == 200


async def test_a_caller_that_varies_the_value_is_bounded(gateway: Gateway, acme: Tenant, acme_key: str) -> None:
    await asyncio.to_thread(limited, acme, max_values=3)
    bodies = [b'{"contactId": %d}' % number for number in range(8)]
    assert await statuses(gateway, acme_key, *bodies) == [200, 200, 200, 200, 200, 429, 429, 429]
    refused = await invoked(gateway, acme_key, b'{"contactId": 9}')
    assert "new values of /contactId, of which there are too many at once" in refused.json["detail"]
    assert (refused.json["counted_by"], refused.json["value"]) == ("/contactId", "+")


async def test_a_header_counts_whatever_its_case(gateway: Gateway, acme: Tenant, acme_key: str) -> None:
    await asyncio.to_thread(limited, acme, counted_by="X-Contact-Id")
    calls = [await invoked(gateway, acme_key, b"{}", **{"x-contact-ID": "7"}) for _ in range(3)]
    assert [each.status for each in calls] == [200, 200, 429]
    assert (await invoked(gateway, acme_key, b"{}", **{"X-Contact-Id": "8"})).status == 200


async def test_the_caller_sees_which_count_and_the_record_never_which_value(
    gateway: Gateway, acme: Tenant, acme_key: str, per_contact: QuotaLimit
) -> None:
    body = b'{"contactId": "0152-555-0199"}'
    for _ in range(2):
        passed = await invoked(gateway, acme_key, body)
    refused = await invoked(gateway, acme_key, body)
    mark = refused.json["value"]
    assert len(mark) == 8 and refused.json["counted_by"] == "/contactId"
    assert refused.json["detail"].startswith("Limit 'contact' has 2 of 2 in use for this value of /contactId")
    partition = f"pk=:{base64.b64encode(mark.encode()).decode()}:"
    for response in (passed, refused):
        assert response.headers["ratelimit"].endswith(partition)
        assert response.headers["ratelimit-policy"].endswith(partition)
    event = await asyncio.to_thread(_stored)
    assert (event.limits[0]["counted_by"], event.limits[0]["value"]) == ("/contactId", mark)
    assert "0152" not in repr([event.__dict__])
    explained = await gateway.caller.call(
        "GET", f"/decisions/{refused.json['decision_id']}", headers=[("X-API-Key", acme_key)]
    )
    assert (
        f"counted per tenant and action and for one value of /contactId, known as {mark}" in explained.json["sentence"]
    )


def _stored() -> ThrottleEvent:
    client = clients.client()
    keeping.store_all(client)
    client.close()
    return ThrottleEvent.objects.get()


async def test_a_check_counts_by_its_body_and_the_list_of_limits_has_no_count(
    gateway: Gateway, acme_key: str, per_contact: QuotaLimit
) -> None:
    async def check(query: str = "") -> Answered:
        headers, body = [("X-API-Key", acme_key)], b'{"contactId": 7}'
        return await gateway.caller.call("POST", "/check/lookupOrder", headers=headers, body=body, query=query)

    assert [(await check()).json["limits"][0]["used"] for _ in range(2)] == [1, 2]
    assert (await check()).status == 429
    listed = await gateway.caller.call("GET", "/limits", headers=[("X-API-Key", acme_key)])
    (action,) = listed.json["actions"]
    assert (action["allowed"], action["limits"]) == (True, [])
    (limit,) = action["limits_by_value"]
    assert (limit["name"], limit["counted_by"], limit["quota"], "used" in limit) == ("contact", "/contactId", 2, False)


async def test_units_are_given_back_to_the_value_that_was_charged(
    gateway: Gateway, acme: Tenant, acme_key: str
) -> None:
    await asyncio.to_thread(limited, acme, max_values=1)
    await invoked(gateway, acme_key, b'{"contactId": 1}')
    gateway.upstream.error = errors.Unreachable("No connection.")
    for number in (2, 3, 4, 5):
        assert (await invoked(gateway, acme_key, b'{"contactId": %d}' % number)).status == 502
        await gateway.runtime.gateway.giving_back.drain()


async def test_a_slot_of_a_value_above_the_bound_is_freed_by_the_end_of_its_call(
    gateway: Gateway, acme: Tenant, acme_key: str
) -> None:
    await asyncio.to_thread(limited, acme, algorithm="concurrency", quota=1, window_seconds=None, max_values=1)
    gateway.upstream.held = asyncio.Event()
    running = [asyncio.create_task(invoked(gateway, acme_key, b'{"contactId": %d}' % number)) for number in (1, 2)]
    name = f"{keys.tag(acme.connection_id)}:w:contact:c:a:acme:lookupOrder:v:+"
    await eventually(lambda: gateway.runtime.store.command("ZCARD", name, key=name), what="the second call")
    assert await statuses(gateway, acme_key, b'{"contactId": 1}', b'{"contactId": 3}') == [429, 429]
    gateway.upstream.held.set()
    assert {each.status for each in await asyncio.gather(*running)} == {200}
    await gateway.recorded()
    assert await gateway.runtime.store.command("ZCARD", name, key=name) == 0


async def test_a_call_waits_for_the_room_of_its_own_value(gateway: Gateway, acme: Tenant, acme_key: str) -> None:
    await asyncio.to_thread(limited, acme, algorithm="token_bucket", quota=20, window_seconds=1, burst=1)
    calls = [invoked(gateway, acme_key, b'{"contactId": %d}' % (n % 2), Prefer="wait=20") for n in range(6)]
    assert [each.status for each in await asyncio.gather(*calls)] == [200] * 6


async def test_a_payload_is_read_only_for_a_limit_that_needs_it(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy
) -> None:
    twice = await invoked(gateway, acme_key, b'{"contactId": 7, "contactId": 8}')
    assert twice.status == 200
    assert "pk=" not in twice.headers["ratelimit"]


async def test_two_workers_share_the_counts_and_the_bound(
    redis_url: str, sandbox: Running, acme: Tenant, acme_key: str
) -> None:
    await asyncio.to_thread(limited, acme, max_values=2)
    workers = TwoWorkers(acme_key, redis_url, sandbox)
    async with workers.running():

        async def call(contact: int, worker: int) -> int:
            answered = await workers.callers[worker].call(
                "POST", "/invoke/lookupOrder", body=b'{"contactId": %d}' % contact, headers=[("X-API-Key", acme_key)]
            )
            return answered.status

        first = await asyncio.gather(*(call(1, n % 2) for n in range(6)))
        await call(2, 0)
        others = await asyncio.gather(*(call(3 + n, n % 2) for n in range(6)))
    assert (first.count(200), others.count(200)) == (2, 2)
