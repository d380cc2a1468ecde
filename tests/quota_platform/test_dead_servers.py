"""A web process starts and serves while servers named before the living one are dead (Celery: test_broker)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import redis
from django.conf import settings

from limiter.core import keys
from tenants.models import Tenant
from tests.environment import VALKEY
from tests.patience import eventually
from tests.quota_platform.conftest import Upstream
from tests.web_process import WebProcess, web_processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url")]
GONE = "127.0.0.1:1"


@pytest.fixture
def frozen() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


async def test_a_web_process_starts_and_serves_while_the_first_servers_are_dead(
    tmp_path: Path, upstream: Upstream, headers: dict[str, str], acme: Tenant, frozen: str
) -> None:
    url = f"redis://{GONE},{frozen},127.0.0.1:{VALKEY.port}/0"
    payload = {"REDIS_URL": url, "SANDBOX_HOSTS": f"127.0.0.1:{upstream.port}"}
    async with aiohttp.ClientSession() as session:
        with web_processes(WebProcess(tmp_path, payload)) as (node,):
            await node.until_ready(session)
            async with session.post(f"{node.url}/invoke/lookupOrder", data=b"{}", headers=headers) as response:
                assert response.status == 200, await response.text()
            await eventually(
                lambda: all_known(session, node), what="every client of the process to find the living one"
            )
    with redis.Redis.from_url(VALKEY.url, decode_responses=True) as store:
        assert store.hget(keys.totals(acme.connection_id), "acme|allowed") == "1"


async def all_known(session: aiohttp.ClientSession, node: WebProcess) -> bool:
    """Whether ``/readyz`` has all details from the servers, through several clients."""
    token = {"Authorization": f"Bearer {settings.ENV.METRICS_TOKEN.get_secret_value()}"}
    async with session.get(f"{node.url}/readyz", headers=token) as response:
        checks: dict[str, dict[str, Any]] = (await response.json())["checks"]
    return all(check["ok"] and check.get("known", True) for check in checks.values())
