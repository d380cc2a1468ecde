"""A client written for the tutorial's FastAPI script, with one header more: docs/from-the-tutorial.md."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from tenants.models import ApiKey, Tenant
from tests.limiter.gateway.conftest import Gateway
from tests.patience import HANG_S, patiently
from tests.served import served

pytestmark = pytest.mark.django_db(transaction=True)


class TutorialClient:
    """Names its tenant in a header, waits as long as a 429 says, and believes the envelope."""

    def __init__(self, base_url: str, *, tenant_id: str, key: str) -> None:
        self._base_url, self._tenant_id = base_url, tenant_id
        self._session = requests.Session()
        self._session.headers["X-Tenant-Id"] = tenant_id
        if key:
            self._session.headers["Authorization"] = f"Bearer {key}"

    def post(self, action_id: str, payload: dict[str, Any]) -> requests.Response:
        return self._session.post(f"{self._base_url}/invoke/{action_id}", json=payload, timeout=HANG_S)

    def invoke(self, action_id: str, payload: dict[str, Any]) -> dict[str, Any]:
        """The upstream's response, after the one wait that a refusal asks for."""
        response = self.post(action_id, payload)
        if response.status_code == 429:
            time.sleep(int(response.headers["Retry-After"]))
            response = self.post(action_id, payload)
        response.raise_for_status()
        envelope: dict[str, Any] = response.json()
        return envelope

    def metrics(self, action_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self._session.get(
            f"{self._base_url}/metrics/{self._tenant_id}/{action_id}", timeout=HANG_S
        ).json()
        return found


@pytest.fixture
def platform_key(acme: Tenant, globex: Tenant) -> str:
    """May act for both tenants, as the script's one caller did; they get the script's envelope."""
    Tenant.objects.update(envelope=True)
    row, token = ApiKey.objects.issue(name="Middleware")
    row.acts_for.set([acme, globex])
    return token


@pytest.fixture
def one_a_second(db: None) -> None:
    policy = QuotaPolicy.objects.create(name="One")
    QuotaLimit.objects.create(policy=policy, name="second", quota=1, window_seconds=1)
    Assignment.objects.create(policy=policy, target=Assignment.Target.DEFAULT)


async def data(gateway: Gateway, key: str, story: Callable[[TutorialClient], None]) -> None:
    """The story of a client for Acme, over real HTTP."""
    async with served(gateway.caller.app, state=gateway.caller.state) as base_url:
        await asyncio.to_thread(lambda: story(TutorialClient(base_url, tenant_id="acme", key=key)))


async def test_the_tutorials_client_is_let_through_after_the_wait_it_was_given(
    gateway: Gateway, platform_key: str, one_a_second: None
) -> None:
    gateway.upstream.body = b'{"order": 7}'

    def story(client: TutorialClient) -> None:
        for _ in patiently("a call that is refused"):
            if (refused := client.post("lookupOrder", {"id": 7})).status_code == 429:
                break
        assert (refused.json()["error"], refused.json()["tenant_id"]) == ("Rate limit exceeded", "acme")
        assert 0 < refused.json()["retry_after_ms"] <= 1000
        assert refused.headers["Retry-After"] == "1"
        assert client.invoke("lookupOrder", {"id": 7}) == {
            "status": "success",
            "data": {"order": 7},
            "latency_ms": 12.345,
            "adaptive_multiplier": 1.0,
        }

    await data(gateway, platform_key, story)


async def test_the_tutorials_metrics_have_their_names(
    gateway: Gateway, platform_key: str, base_policy: QuotaPolicy
) -> None:
    def story(client: TutorialClient) -> None:
        client.invoke("lookupOrder", {"id": 7})
        metrics = client.metrics("lookupOrder")
        assert {name: metrics[name] for name in metrics if name not in ("limits", "adaptive", "degraded")} == {
            "tenant_id": "acme",
            "action_id": "lookupOrder",
            "current_usage": 1,
            "base_quota": 100,
            "adaptive_multiplier": 1.0,
            "effective_quota": 100,
            "window_seconds": 60,
        }

    await data(gateway, platform_key, story)


async def test_the_tutorials_client_gets_an_error_of_the_upstream_as_an_envelope_with_502(
    gateway: Gateway, platform_key: str, base_policy: QuotaPolicy
) -> None:
    gateway.upstream.status = 500

    def story(client: TutorialClient) -> None:
        failed = client.post("lookupOrder", {"id": 7})
        assert (failed.status_code, failed.json()["status"]) == (502, "error")
        assert failed.json()["error"] == "The upstream answered 500."

    await data(gateway, platform_key, story)


async def test_the_tenant_header_alone_opens_nothing(gateway: Gateway, acme: Tenant, globex_key: str) -> None:
    """What the script believed: anybody could name a tenant and spend its quota."""

    def refused(client: TutorialClient, *, status: int) -> None:
        assert client.post("lookupOrder", {"id": 7}).status_code == status

    await data(gateway, "", lambda client: refused(client, status=401))
    await data(gateway, globex_key, lambda client: refused(client, status=403))
