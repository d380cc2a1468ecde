"""An override or an assignment that brings a tenant under smaller limits than it used asks first, as a policy does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from limiter.models import Assignment, Override, QuotaLimit, QuotaPolicy
from limiter.policies import foreseen
from tenants.models import Tenant
from tests.api_client import editor
from tests.filled_form import filled_form
from tests.limiter.policies.test_cuts import gold, used

__all__ = ["gold"]

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)
HIT = {"tenant": "acme", "action": "lookupOrder", "limit": "minute", "used": 90, "units": 50}


def small(units: int = 50, **fields: Any) -> QuotaPolicy:
    policy = QuotaPolicy.objects.create(name="Small", **fields)
    QuotaLimit.objects.create(policy=policy, name="minute", quota=units, window_seconds=60)
    return policy


def override(tenant: Tenant, **fields: Any) -> Override:
    of: dict[str, Any] = {"effect": "quota", "quota": 50, "reason": "x", "ends_at": NOW + timedelta(days=2), **fields}
    return Override(tenant=tenant, **of)


@pytest.fixture
def root(gold: QuotaPolicy) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password=None))
    return client


@pytest.mark.parametrize(
    ("fields", "units"),
    [
        ({}, 50),
        ({"effect": "factor", "quota": None, "factor": 0.5}, 50),
        ({"starts_at": NOW + timedelta(days=1)}, 50),
        ({"limit_name": "minute", "quota": 89}, 89),
        ({"limit_name": "day"}, None),
        ({"quota": 90}, None),
        ({"quota": 300}, None),
        ({"effect": "factor", "quota": None, "factor": 2}, None),
        ({"effect": "shadow", "quota": None}, None),
        ({"starts_at": NOW - timedelta(days=2), "ends_at": NOW - timedelta(days=1)}, None),
    ],
)
def test_an_override_hits_those_who_used_more_than_it_leaves_them(
    gold: QuotaPolicy, acme: Tenant, fields: dict[str, Any], units: int | None
) -> None:
    used("acme", 90)
    used("globex", 95)
    found = [(hit.tenant.tenant_id, hit.limit) for hit in foreseen.by_override(override(acme, **fields))]
    assert found == ([("acme", units)] if units else [])


def test_an_override_of_another_action_hits_nobody(gold: QuotaPolicy, acme: Tenant) -> None:
    used("acme", 90)
    other = acme.actions.create(action_id="createCase")
    assert foreseen.by_override(override(acme, action=other)) == []
    assert foreseen.by_override(override(acme, action=acme.actions.get(action_id="lookupOrder")))


def test_an_edit_that_lowers_a_raise_is_compared_with_the_raise(gold: QuotaPolicy, acme: Tenant) -> None:
    row = override(acme, quota=300)
    row.save()
    used("acme", 190)
    row.quota = 150
    assert [hit.limit for hit in foreseen.by_override(row)] == [150]


def test_an_assignment_hits_the_tenants_that_it_brings_under_a_smaller_policy(gold: QuotaPolicy, acme: Tenant) -> None:
    used("acme", 90)
    policy = small()
    action = acme.actions.get(action_id="lookupOrder")
    own = Assignment(policy=policy, target="action", action=action)
    assert [hit.limit for hit in foreseen.by_assignment(own)] == [50]
    moved = Assignment.objects.get(tenant=acme)
    moved.policy = policy
    assert [hit.limit for hit in foreseen.by_assignment(moved)] == [50]
    policy.mode = "shadow"
    policy.save()
    assert foreseen.by_assignment(moved) == []


def test_an_assignment_that_goes_hits_the_tenants_that_everyones_policy_gives_less(
    gold: QuotaPolicy, acme: Tenant
) -> None:
    used("acme", 90)
    default = Assignment(policy=small(), target="default")
    assert foreseen.by_assignment(default) == []  # both tenants have policies of their own
    default.save()
    assert [hit.limit for hit in foreseen.by_assignment(Assignment.objects.get(tenant=acme), removed=True)] == [50]
    Assignment.objects.filter(tenant=acme).delete()
    assert foreseen.by_assignment(default, removed=True) == []  # then no limit is left


def test_the_forms_ask_and_save_what_is_confirmed(root: Client, acme: Tenant) -> None:
    used("acme", 90)
    typed = {"tenant": str(acme.pk), "effect": "quota", "quota": "50", "limit_name": "minute", "reason": "x"}
    typed |= {"ends_at_0": f"{NOW + timedelta(days=2):%Y-%m-%d}", "ends_at_1": "12:00:00"}
    held = Assignment.objects.get(tenant=acme)
    for page, fields, rows in (
        ("/admin/limiter/override/add/", typed, Override.objects.all()),
        (
            f"/admin/limiter/assignment/{held.pk}/change/",
            {"policy": str(small().pk)},
            Assignment.objects.filter(policy__name="Small"),
        ),
    ):
        form = filled_form(root.get(page).content) | fields
        asked = root.post(page, form).content.decode()
        assert asked.count("minute: More than 50 units") == 2, "in the question, and at the field"
        assert "Acme · lookupOrder (90)" in asked.partition("Before you save")[2].partition("</section>")[0]
        assert "Cut them nevertheless" in asked and "Please correct" not in asked and not rows.exists()
        assert root.post(page, form | {"confirm_cut": "1"}).status_code == 302
        assert rows.exists()
        rows.delete()


def test_the_page_that_deletes_an_assignment_names_the_tenants_that_it_hits(root: Client, acme: Tenant) -> None:
    used("acme", 90)
    Assignment.objects.create(policy=small(), target="default")
    page = f"/admin/limiter/assignment/{Assignment.objects.get(tenant=acme).pk}/delete/"
    assert "Acme · lookupOrder (90)" in root.get(page).content.decode()


def test_the_page_of_an_earlier_version_names_the_tenants_that_putting_it_back_hits(
    root: Client, gold: QuotaPolicy
) -> None:
    used("acme", 90)
    line = gold.limits.get()
    for quota in (50, 200):
        line.quota = quota
        line.save()
    versions = {line.version: line.pk for line in gold.history.all()}
    page = "/admin/limiter/quotapolicy/{}/history/{}/"
    assert "Acme · lookupOrder (90)" in root.get(page.format(gold.pk, versions[max(versions) - 1])).content.decode()
    assert "Acme · lookupOrder (90)" not in root.get(page.format(gold.pk, versions[max(versions)])).content.decode()


def test_the_api_asks_a_caller_who_wants_to_be_asked(gold: QuotaPolicy, acme: Tenant) -> None:
    used("acme", 90)
    api, policy = editor(), small()
    new = {
        "tenant": "acme",
        "effect": "quota",
        "limit_name": "minute",
        "quota": 50,
        "reason": "x",
        "ends_at": f"{NOW + timedelta(days=2):%FT%TZ}",
    }
    held = f"/api/assignments/{Assignment.objects.get(tenant=acme).pk}/"
    Assignment.objects.create(policy=policy, target="default")
    for asked in (
        api.post("/api/overrides/", {**new, "confirm_cut": False}),
        api.patch(held, {"policy": "Small", "confirm_cut": False}),
        api.delete(f"{held}?confirm_cut=false"),
        api.delete(f"{held}?confirm_cut=0"),
    ):
        assert (asked.status_code, asked.json()["cuts"], asked.json()["more_cuts"]) == (409, [HIT], 0)
    unread = api.delete(f"{held}?confirm_cut=nope")
    assert (unread.status_code, unread.json()["errors"]) == (400, {"confirm_cut": ["Must be a valid boolean."]})
    assert not Override.objects.exists() and Assignment.objects.get(tenant=acme).policy == gold
    assert api.post("/api/overrides/", new).status_code == 201
    Override.objects.all().delete()
    assert api.patch(held, {"policy": "Small", "confirm_cut": True}).status_code == 200
    assert api.delete(held).status_code == 204
