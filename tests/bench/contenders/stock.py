"""Django as it comes, under ASGI: a plain async view that decides one limit with redis.asyncio and calls with aiohttp.

It has no middleware, checks no key and records nothing; the deciding script is the one nginx runs.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import aiohttp
import redis.asyncio
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

REFUSED = "refused"
"""The action that has one call an hour; the others have an ample limit a minute."""
AMPLE = int(os.environ.get("BENCH_AMPLE", "1000000"))
UPSTREAM = os.environ.get("BENCH_UPSTREAM", "http://127.0.0.1:1")
REDIS_URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/0")
SCRIPT = Path(__file__).with_name("sliding_log.lua").read_text()


class Clients:
    """The clients of this worker, made inside its event loop on the first call."""

    def __init__(self) -> None:
        self._store = redis.asyncio.Redis.from_url(REDIS_URL)
        self.decide = self._store.register_script(SCRIPT)
        self.http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


class Holder:
    clients: Clients | None = None

    @classmethod
    def get(cls) -> Clients:
        cls.clients = cls.clients or Clients()
        return cls.clients


@csrf_exempt
async def invoke(request: HttpRequest, action: str) -> HttpResponse:
    clients = Holder.get()
    key = f"stock:{request.headers.get('X-Tenant-Id', '')}:{action}"
    quota, window_us = (1, 3_600_000_000) if action == REFUSED else (AMPLE, 60_000_000)
    wait_us = int(await clients.decide(keys=[key], args=[quota, window_us, time.time_ns() // 1000]))
    if wait_us:
        headers = {"Retry-After": str(-(-wait_us // 1_000_000))}
        return HttpResponse(
            b'{"error":"Rate limit exceeded"}', status=429, content_type="application/json", headers=headers
        )
    url = f"{UPSTREAM}/webactions/{action}/invoke"
    async with clients.http.post(url, data=request.body, headers={"Content-Type": "application/json"}) as response:
        return HttpResponse(await response.read(), status=response.status, content_type="application/json")


urlpatterns = [path("invoke/<str:action>", invoke)]

settings.configure(
    SECRET_KEY="bench", ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, MIDDLEWARE=[], INSTALLED_APPS=[]
)
application = get_asgi_application()
