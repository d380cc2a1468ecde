"""The admin's first page says how the platform is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from limiter.models import ThrottleEvent
from tenants.models import Tenant


@pytest.fixture
def root(client: Client, admin_user: User) -> Client:
    client.force_login(admin_user)
    return client


def refused(
    stream_id: str, *, tenant_id: str = "acme", minutes_ago: int = 1, shadow: bool = False, count: int = 1
) -> None:
    ThrottleEvent.objects.create(
        stream_id=stream_id,
        at=timezone.now() - timedelta(minutes=minutes_ago),
        tenant_id=tenant_id,
        action_id="lookupOrder",
        decision_id=stream_id,
        policy_name="Base",
        policy_version=1,
        limit_name="minute",
        used=100,
        quota=100,
        effective_limit=100,
        multiplier=1.0,
        cost=1,
        shadow=shadow,
        count=count,
    )


def test_a_quiet_platform_is_called_quiet(root: Client, acme: Tenant) -> None:
    html = root.get("/admin/").content.decode()
    assert "No call was refused in the last 15 minutes" in html
    assert 'href="/dashboard/"' in html


def test_refusals_of_the_last_minutes_are_counted_and_named(root: Client, acme: Tenant, globex: Tenant) -> None:
    refused("1", count=40)
    refused("2", tenant_id="globex")
    refused("3", minutes_ago=20, count=1000)
    refused("4", shadow=True, count=1000)
    html = root.get("/admin/").content.decode()
    assert "41 calls were refused in the last 15 minutes" in html
    assert "acme, globex · from the stored record" in html


def test_a_staff_member_without_tenants_sees_nothing_of_them(client: Client, acme: Tenant) -> None:
    client.force_login(User.objects.create_user("stranger", password="a-long-test-password", is_staff=True))
    refused("1")
    html = client.get("/admin/").content.decode()
    assert "No call was refused" in html
    assert "acme" not in html
