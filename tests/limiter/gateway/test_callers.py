"""A caller whose key and tenant are held is known without waiting, as exactly the one that a wait would find."""

from __future__ import annotations

import dataclasses

import pytest

from limiter.core.types import ServiceClass
from limiter.models import QuotaPolicy
from tenants.models import ApiKey, Tenant
from tests.limiter.gateway.conftest import Gateway

pytestmark = pytest.mark.django_db(transaction=True)


@dataclasses.dataclass
class From:
    caller_address: str = "192.0.2.7"


async def test_a_held_caller_is_the_one_that_is_identified(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy
) -> None:
    callers = gateway.runtime.gateway.callers
    assert callers.held(acme_key, "") is None, "nothing is held yet"

    identified = await callers.identify(acme_key, "", From())

    assert callers.held(acme_key, "") == callers.held(acme_key, "acme") == identified


def test_a_key_knows_the_classes_of_shared_limits() -> None:
    assert ApiKey.MaxClass.values == [each.value for each in ServiceClass]


async def test_nobody_is_held_for_a_wrong_key_or_another_tenant(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy
) -> None:
    callers = gateway.runtime.gateway.callers
    await callers.identify(acme_key, "", From())
    turned = acme_key[:-1] + ("a" if acme_key[-1] != "a" else "b")
    refused = ["", "nonsense", turned]
    assert [callers.held(token, "") for token in refused] == [None] * 3
    assert callers.held(acme_key, "other") is None


@pytest.fixture
def platform_key(acme: Tenant) -> str:
    key, token = ApiKey.objects.issue(name="Platform")
    key.acts_for.add(acme)
    return token


async def test_a_platform_key_is_held_for_the_tenants_that_it_was_asked_for(
    gateway: Gateway, platform_key: str, base_policy: QuotaPolicy
) -> None:
    callers = gateway.runtime.gateway.callers
    await gateway.runtime.snapshot.look()  # an edit that is seen later lets go of what the key was granted
    identified = await callers.identify(platform_key, "acme", From())
    assert callers.held(platform_key, "acme") == identified
    assert callers.held(platform_key, "") is None, "it has to name its tenant"
    assert callers.held(platform_key, "other") is None


@pytest.fixture
def suspended(acme: Tenant) -> None:
    acme.status = Tenant.Status.SUSPENDED
    acme.save()


async def test_a_suspended_tenant_is_not_held_as_a_caller(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy, suspended: None
) -> None:
    callers = gateway.runtime.gateway.callers
    assert await gateway.runtime.snapshot.tenant("acme") is not None
    assert (await gateway.invoke("lookupOrder", key=acme_key)).status == 403
    assert callers.held(acme_key, "") is None
