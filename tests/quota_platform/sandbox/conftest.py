"""A running sandbox whose clock stands still until it is moved, and somebody who calls it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from quota_platform.sandbox import Running, running

CLIENT, SECRET = "app@vendor", "app-secret/+="
KEY, KEY_SECRET = "KEYID====", "KEYSECRET===="


@dataclass
class Clock:
    """Seconds since 1970, moved by hand."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Reply:
    """A response, read whole."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


@dataclass
class Caller:
    """Calls a sandbox over real HTTP; ``token`` is sent once it is set."""

    base_url: str
    session: aiohttp.ClientSession
    token: str = ""
    headers: dict[str, str] = field(default_factory=lambda: {"Accept": "application/json"})

    async def send(self, method: str, path: str, **options: Any) -> Reply:
        headers = self.headers | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        headers |= options.pop("headers", {})
        options.setdefault("allow_redirects", False)
        async with self.session.request(method, self.base_url + path, headers=headers, **options) as response:
            return Reply(response.status, response.headers, await response.read())

    async def control(self, method: str, name: str, values: object = None) -> Any:
        reply = await self.send(method, f"/__sim__/{name}", json=values or {})
        assert reply.status < 300, reply.raw
        return reply.json if reply.raw else None

    async def sign_in(self, **form: str) -> Reply:
        """Ask for a client credentials token, and use it from now on."""
        body = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET} | form
        reply = await self.send("POST", "/oauth/token", data=body)
        self.token = reply.json.get("access_token", "") if reply.status == 200 else ""
        return reply

    async def invoke(self, action: str = "lookupOrder", **options: Any) -> Reply:
        options.setdefault("json", {"order": "A-1"})
        return await self.send("POST", f"/webactions/{action}/invoke", **options)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sandbox(clock: Clock) -> AsyncIterator[Running]:
    async with running(clients={CLIENT: SECRET}, access_keys={KEY: KEY_SECRET}, seed=7, clock=clock) as started:
        yield started


@pytest.fixture
async def caller(sandbox: Running) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession(skip_auto_headers=["Accept"]) as session:
        yield Caller(sandbox.base_url, session)


@pytest.fixture
async def signed_in(caller: Caller) -> Caller:
    assert (await caller.sign_in()).status == 200
    return caller
