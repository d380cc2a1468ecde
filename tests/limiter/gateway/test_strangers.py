"""What somebody without credentials is shown, and how the gateway tells who that is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from limiter.models import QuotaPolicy
from tests.limiter.gateway.conftest import Gateway

PROXY, SCRAPER = "10.0.3.1", "10.8.0.5"


@pytest.fixture(autouse=True)
def networks(settings: Settings) -> None:
    data = {"METRICS_NETWORKS": ["10.8.0.0/16"], "TRUSTED_PROXIES": [PROXY]}
    settings.ENV = settings.ENV.model_copy(update=data)


SCRAPES = (
    (SCRAPER, "", 200),
    (f"::ffff:{SCRAPER}", "", 200),
    (PROXY, SCRAPER, 200),
    (f"::ffff:{PROXY}", f"192.0.2.7, ::ffff:{SCRAPER}", 200),
    (PROXY, "", 401),
    (PROXY, f"{SCRAPER}, 192.0.2.7", 401),
    (PROXY, f"{SCRAPER}, unknown", 401),
    ("192.0.2.7", SCRAPER, 401),
    (SCRAPER, "192.0.2.7", 200),
)


async def test_metrics_networks_mean_the_caller(gateway: Gateway) -> None:
    seen = []
    for client, forwarded, _ in SCRAPES:
        headers = [("X-Forwarded-For", forwarded)] if forwarded else []
        status = (await gateway.caller.call("GET", "/metrics", client=client, headers=headers)).status
        seen.append((client, forwarded, status))
    assert tuple(seen) == SCRAPES


async def test_readiness_tells_strangers_no_names(gateway: Gateway, base_policy: QuotaPolicy) -> None:
    assert set((await gateway.caller.call("GET", "/readyz")).json) == {"status", "reasons"}
    data = (await gateway.caller.call("GET", "/readyz", client=SCRAPER)).json
    assert {"policies", "store", "database", "connections", "record"} <= set(data["checks"])
    token = settings.ENV.METRICS_TOKEN.get_secret_value()
    bearer = [("Authorization", f"Bearer {token}")]
    assert "checks" in (await gateway.caller.call("GET", "/readyz", headers=bearer)).json


def cookie(user: User) -> list[tuple[str, str]]:
    client = Client()
    client.force_login(user)
    return [("Cookie", f"sessionid={client.cookies['sessionid'].value}")]


@pytest.fixture
def people(transactional_db: None) -> Iterator[dict[str, Any]]:
    staff = User.objects.create_user("ana", is_staff=True)
    yield {"staff": cookie(staff), "outsider": cookie(User.objects.create_user("bob"))}


async def test_readiness_tells_staff_what_was_checked(gateway: Gateway, people: dict[str, Any]) -> None:
    for who, details in (("staff", True), ("outsider", False)):
        data = (await gateway.caller.call("GET", "/readyz", headers=people[who])).json
        assert ("checks" in data) == details
    forged = [("Cookie", "sessionid=forged")]
    assert "checks" not in (await gateway.caller.call("GET", "/readyz", headers=forged)).json
