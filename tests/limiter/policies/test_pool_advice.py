"""Policies that share a limit and do not fit each other are pointed out, and shares of less than one call."""

from __future__ import annotations

from typing import Any

import pytest

from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from limiter.policies.advice import advice
from tenants.models import Connection, Tenant
from tests.api_client import editor

pytestmark = pytest.mark.django_db


def pool(of: str, *, reserve_seconds: int = 0, quota: int = 10, **more: Any) -> QuotaPolicy:
    policy = QuotaPolicy.objects.create(name=of, adaptive=False, reserve_seconds=reserve_seconds)
    given = {"window_seconds": 10, "counted_per": "connection", "shared": True, "name": "pool", **more}
    QuotaLimit.objects.create(policy=policy, quota=quota, **given)
    return policy


def said(policy: QuotaPolicy) -> list[str]:
    return advice(policy, policy.limits.all())


def tenants(connection: Connection, count: int) -> None:
    Tenant.objects.bulk_create(
        Tenant(tenant_id=f"t{number}", name=f"T{number}", connection=connection) for number in range(count)
    )


def test_policies_that_share_a_limit_both_hold_units_or_none_does() -> None:
    holds, ignores = pool("Holds", reserve_seconds=5), pool("Ignores")
    assert said(holds) == [
        "pool: Ignores share this limit and hold no units for refused calls; their calls take those that are held here."
        " Set appointments hold (s) there too."
    ]
    assert said(ignores) == [
        "pool: Holds share this limit and hold units for refused calls; calls under this policy take them. Set"
        " appointments hold (s) here too."
    ]
    ignores.reserve_seconds = 1
    ignores.save()
    assert said(holds) == said(ignores) == []


@pytest.mark.parametrize("other", [{"name": "another"}, {"counted_per": "tenant", "shared": False}])
def test_limits_that_are_not_shared_with_it_are_no_matter(other: dict[str, Any]) -> None:
    pool("Other", **other)
    assert said(pool("Holds", reserve_seconds=5)) == []


def test_slots_hold_nothing_and_so_need_no_option() -> None:
    slots: dict[str, Any] = {"algorithm": "concurrency", "window_seconds": None}
    pool("Other", **slots)
    assert said(pool("Holds", reserve_seconds=5, **slots)) == []


def test_a_share_of_less_than_one_call_is_pointed_out(connection: Connection) -> None:
    policy = pool("Base", quota=10)
    Assignment.objects.create(policy=policy, target="default")
    tenants(connection, 10)
    assert said(policy) == []
    Tenant.objects.create(tenant_id="eleventh", name="Eleventh", connection=connection)
    assert said(policy) == [
        "pool: 11 tenants of connection sandbox share 10 units. If all call at once, the smallest share is less than"
        " one call. Raise the limit, or let fewer tenants share it."
    ]


def test_weights_and_floors_count(connection: Connection) -> None:
    base, gold = pool("Base", quota=10), pool("Gold", quota=10, share_weight=8)
    Assignment.objects.create(policy=base, target="default")
    tenants(connection, 3)
    Assignment.objects.create(policy=gold, target="tenant", tenant=Tenant.objects.first())
    assert said(base) == []
    QuotaLimit.objects.filter(policy=gold).update(share_weight=9)
    assert len(said(base)) == len(said(gold)) == 1
    QuotaLimit.objects.filter(policy=base).update(share_floor=1)
    assert said(base) == said(gold) == []


def test_the_api_has_the_same_sentences_and_asks_a_caller_who_wants_to_be_asked() -> None:
    pool("Ignores")
    holds, api = pool("Holds", reserve_seconds=5), editor()
    page = f"/api/policies/{holds.pk}/"
    read = api.get(page)
    assert api.get(f"{page}warnings/").json() == {"warnings": said(holds)} != {"warnings": []}
    asked = api.patch(page, {"reserve_seconds": 7, "confirm_warnings": False}, headers={"If-Match": read["ETag"]})
    assert (asked.status_code, asked.json()["warnings"]) == (409, said(holds))
    assert api.get(page)["ETag"] == read["ETag"], "nothing was saved"
    for confirmed in ({"confirm_warnings": True}, {}):
        saved = api.patch(page, {"reserve_seconds": 6 + len(confirmed), **confirmed})
        assert saved.status_code == 200 and "warnings" not in saved.json()
        assert saved["ETag"] == api.get(page)["ETag"], "as of a row without warnings"
    assert api.patch(page, {"reserve_seconds": 0, "confirm_warnings": False}).status_code == 200


def test_putting_a_version_back_over_the_api_may_ask_as_a_save_does() -> None:
    pool("Ignores")
    holds, api = pool("Holds", reserve_seconds=5), editor()
    version, page = holds.version, f"/api/policies/{holds.pk}/"
    assert api.patch(page, {"reserve_seconds": 0}).status_code == 200
    order = {"version": version, "confirm_warnings": False}
    asked = api.post(f"{page}restore/", order, headers={"If-Match": api.get(page)["ETag"]})
    assert asked.status_code == 409 and "hold no units" in asked.json()["warnings"][0]
    assert api.get(page).json()["reserve_seconds"] == 0
