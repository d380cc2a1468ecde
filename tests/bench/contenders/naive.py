"""The obvious proxy: a sorted set as sliding window, blocking Redis and blocking HTTP inside ``async def``.

Written for the bench in the shape that such a service has on its first day: check, then count, then call. It checks
one limit, no key, and records nothing.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import redis
import requests

REFUSED = "refused"
"""The action that has one call an hour; the others have an ample limit a minute."""
AMPLE = int(os.environ.get("BENCH_AMPLE", "1000000"))
UPSTREAM = os.environ.get("BENCH_UPSTREAM", "http://127.0.0.1:1")

store = redis.Redis.from_url(os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/0"))
http = requests.Session()

Message = MutableMapping[str, Any]


def admitted(tenant: str, action: str) -> bool:
    """Whether the window has room; counts the call if it has."""
    quota, seconds = (1, 3600) if action == REFUSED else (AMPLE, 60)
    key, now = f"naive:{tenant}:{action}", time.time()
    store.zremrangebyscore(key, 0, now - seconds)
    if int(store.zcard(key)) >= quota:
        return False
    store.zadd(key, {uuid.uuid4().hex: now})
    store.expire(key, seconds)
    return True


async def application(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    tenant = dict(scope["headers"]).get(b"x-tenant-id", b"").decode()
    action = scope["path"].rpartition("/")[2]
    if admitted(tenant, action):
        response = http.post(f"{UPSTREAM}/webactions/{action}/invoke", json=json.loads(body), timeout=30)
        status, content = response.status_code, json.dumps({"status": "ok", "data": response.json()}).encode()
    else:
        status, content = 429, b'{"error":"Rate limit exceeded"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
