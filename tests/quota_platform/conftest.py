"""An upstream on a real socket, and the header fields of a caller whose connection leads there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from limiter.models import QuotaPolicy
from tenants.models import Action, Connection, Tenant


@dataclass
class Upstream:
    """Responds at once, except ``slow``: when the test lets it."""

    port: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    let: asyncio.Event = field(default_factory=asyncio.Event)

    async def response(self, request: web.Request) -> web.Response:
        if request.path == "/oauth/token":
            return web.json_response({"access_token": "t", "token_type": "Bearer", "expires_in": 3600})
        if "slow" in request.path:
            self.asked.set()
            await self.let.wait()
        return web.json_response({"ok": True})


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.response)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


@pytest.fixture
def headers(upstream: Upstream, acme: Tenant, acme_key: str, base_policy: QuotaPolicy) -> dict[str, str]:
    """Of Acme, whose connection leads to the upstream."""
    Action.objects.create(tenant=acme, action_id="slow")
    Connection.objects.update(base_url=f"http://127.0.0.1:{upstream.port}")
    return {"Authorization": f"Bearer {acme_key}"}
