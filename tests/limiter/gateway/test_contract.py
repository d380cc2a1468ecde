"""The gateway keeps to its part of the OpenAPI document, over real sockets."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings

from limiter.models import QuotaPolicy
from tests.api_contract import check, operations
from tests.limiter.gateway.conftest import Gateway
from tests.limiter.record.test_api_events import event
from tests.served import served

KNOWN = {"tenant_id": "acme", "action_id": "lookupOrder", "decision_id": "d1"}
OPERATIONS = operations("/invoke", "/check", "/decisions", "/limits", "/metrics", "/healthz", "/readyz")


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
async def test_every_response_is_as_documented(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy, method: str, path: str
) -> None:
    token = settings.ENV.METRICS_TOKEN.get_secret_value() if path == "/metrics" else acme_key
    headers = {"Authorization": f"Bearer {token}"}
    await sync_to_async(event)(1)
    async with served(gateway.caller.app, state=gateway.caller.state) as base_url:
        answered = await asyncio.to_thread(
            check, method, path, examples=8, headers=headers, row=KNOWN, base_url=base_url
        )
        unsigned = await asyncio.to_thread(check, method, path, examples=2, headers={}, row=KNOWN, base_url=base_url)
    assert 200 in answered
    assert set(unsigned) == ({200} if path in ("/healthz", "/readyz") else {401})
