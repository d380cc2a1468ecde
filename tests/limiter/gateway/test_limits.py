"""GET /limits: what a caller has left, of all its tenant's actions, with its own key."""

from __future__ import annotations

from unittest import mock

import pytest

from limiter.gateway import caller_views
from limiter.models import QuotaPolicy
from tenants.models import Action, Connection, Tenant
from tests.asgi import Answered
from tests.limiter.gateway.conftest import Gateway

pytestmark = pytest.mark.django_db(transaction=True)


async def limits(gateway: Gateway, key: str, query: str = "") -> Answered:
    return await gateway.caller.call("GET", "/limits", headers=[("X-API-Key", key)], query=query)


async def test_one_request_tells_use_rest_and_reset_of_every_action_and_counts_nothing(
    gateway: Gateway, acme: Tenant, acme_key: str, globex: Tenant, base_policy: QuotaPolicy
) -> None:
    await Action.objects.acreate(tenant=acme, action_id="createCase", cost=3)
    await Action.objects.acreate(tenant=acme, action_id="retired", enabled=False)
    for _ in range(2):
        await gateway.invoke("lookupOrder", key=acme_key)
    for _ in range(2):
        found = await limits(gateway, acme_key)
    assert (found.status, found.json["tenant_id"], found.json["next"]) == (200, "acme", None)
    create, lookup = found.json["actions"]
    assert (create["action_id"], create["cost"], create["limits"][0]["used"]) == ("createCase", 3, 0)
    minute = lookup["limits"][0]
    assert (minute["quota"], minute["window_seconds"], minute["used"], minute["remaining"]) == (100, 60, 2, 98)
    assert 0 < minute["reset_ms"] <= 60_000
    assert (lookup["action_id"], lookup["allowed"], lookup["retry_after_ms"]) == ("lookupOrder", True, 0)


async def test_limits_of_a_full_action_tell_the_wait(gateway: Gateway, acme_key: str, base_policy: QuotaPolicy) -> None:
    await base_policy.limits.aupdate(quota=1)
    await gateway.invoke("lookupOrder", key=acme_key)
    (lookup,) = (await limits(gateway, acme_key)).json["actions"]
    assert lookup["allowed"] is False and 0 < lookup["retry_after_ms"] <= 60_000


async def test_a_limit_that_a_connection_learns_names_no_policy(
    gateway: Gateway, connection: Connection, acme_key: str, base_policy: QuotaPolicy
) -> None:
    await Connection.objects.filter(pk=connection.pk).aupdate(learns_in_flight=True)
    (lookup,) = (await limits(gateway, acme_key)).json["actions"]
    assert [(limit["name"], limit["policy"], limit["policy_version"]) for limit in lookup["limits"]] == [
        ("minute", "Base", base_policy.version),
        ("(in flight)", None, None),
    ]


async def test_limits_of_many_actions_come_in_pages(
    gateway: Gateway, acme: Tenant, acme_key: str, base_policy: QuotaPolicy
) -> None:
    for number in range(4):
        await Action.objects.acreate(tenant=acme, action_id=f"a{number}")
    seen, following = [], "/limits?after="
    with mock.patch.object(caller_views, "MAX_ACTIONS", 2):
        while following:
            page = (await limits(gateway, acme_key, following.partition("?")[2])).json
            seen += [action["action_id"] for action in page["actions"]]
            following = page["next"]
    assert seen == ["a0", "a1", "a2", "a3", "lookupOrder"]


async def test_limits_need_a_key(gateway: Gateway, acme: Tenant) -> None:
    assert (await gateway.caller.call("GET", "/limits")).status == 401
