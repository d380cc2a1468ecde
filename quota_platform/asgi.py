"""The ASGI application: the gateway's routes to the lean handler, other HTTP to Django, websockets to Channels.

The lifespan opens and closes this worker's clients; they travel in the ASGI state.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Awaitable, MutableMapping
from functools import lru_cache
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "quota_platform.settings")

import django
from asgiref.sync import markcoroutinefunction
from django.conf import settings
from django.urls import Resolver404, get_resolver

django.setup(set_prefix=False)

from dashboard.broadcast import Broadcast  # noqa: E402  Django's apps have to be loaded first
from dashboard.routing import websocket  # noqa: E402
from limiter.gateway.runtime import Runtime  # noqa: E402
from quota_platform import lean_urls  # noqa: E402
from quota_platform.base import addresses  # noqa: E402
from quota_platform.server import draining, neighbours, open_files  # noqa: E402
from quota_platform.server.guard import Guard  # noqa: E402
from quota_platform.server.handler import Receive, Scope, Send  # noqa: E402
from quota_platform.server.limits import Limits  # noqa: E402
from quota_platform.server.loop import Loop  # noqa: E402
from quota_platform.server.neighbours import Group, Neighbours  # noqa: E402
from quota_platform.server.pages import Pages  # noqa: E402

TURN_S = 0.001
"""How long a thread may keep another one waiting: a fifth of what Python starts with."""
PAGES_NICE = 15
"""Where processors are short, a process for pages gets a twenty-eighth of the time of one for calls (sched(7))."""
lean = lean_urls.handler()
django_application: Any = Pages()
_resolve = lru_cache(4096)(get_resolver(settings.ROOT_URLCONF).resolve)
log = logging.getLogger(__name__)


@markcoroutinefunction
def application(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
    """Send each connection to the part that serves it. No coroutine of its own, which each wait would pass through."""
    if scope["type"] == "lifespan":
        return _lifespan(scope, receive, send)
    served: Awaitable[None]
    if scope["type"] == "websocket":
        served = websocket(_as_sent(scope), receive, send)
    elif scope["path"].startswith(lean_urls.PREFIXES) or not _leads_somewhere(scope["path"]):
        served = lean(scope, receive, send)
    else:
        served = django_application(_as_sent(scope), receive, send)
    return served


def _leads_somewhere(path: str) -> bool:
    """False for what Django would answer 404 without asking anything: that costs it as much as a dozen calls."""
    if path.startswith("/" + settings.STATIC_URL.lstrip("/")):
        return True
    return _resolves(path) or (not path.endswith("/") and _resolves(path + "/"))  # Django adds the slash


def _resolves(path: str) -> bool:
    try:
        _resolve(path)
    except Resolver404:
        return False
    return True


def _as_sent(scope: Scope) -> Scope:
    """The scope with its sender's address and scheme. The gateway determines them itself where it needs them."""
    sent = addresses.origin(scope, addresses.networks(*settings.ENV.TRUSTED_PROXIES))
    scheme = sent.scheme.replace("http", "ws") if scope["type"] == "websocket" else sent.scheme
    return {**scope, "client": (sent.address, 0) if sent.address else None, "scheme": scheme}


async def _lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    runtime = Runtime.from_settings()
    _join(scope["state"], runtime)
    await runtime.open()
    scope["state"]["runtime"] = runtime
    granted = guard()
    granted.keep_in(scope["state"])
    runtime.heartbeat.server = granted.status
    broadcast = Broadcast.of(runtime)
    broadcast.open()
    scope["state"]["broadcast"] = broadcast
    waiting = runtime.gateway.waiting
    draining.on_sigterm(scope["state"], seconds=settings.ENV.DRAIN_SECONDS, leaving=waiting.stop)
    settle()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await broadcast.close()
    await runtime.close()
    await send({"type": "lifespan.shutdown.complete"})


def _join(state: MutableMapping[str, Any], runtime: Runtime) -> None:
    """Take a place among the processes of this server, where it has any; nobody reaches this one until it listens."""
    loop, names = asyncio.get_running_loop(), neighbours.names()
    if not settings.ENV.PAGES_WORKERS or names is None or not isinstance(loop, Loop):
        return

    def serve_pages() -> None:
        runtime.heartbeat.decides = lambda: runtime.gateway.decided
        os.nice(PAGES_NICE)

    sizes = {Group.PAGES: settings.ENV.PAGES_WORKERS, Group.CALLS: settings.ENV.WEB_WORKERS}
    loop.neighbours = Neighbours(names, sizes=sizes, call_prefixes=lean_urls.PREFIXES)
    loop.neighbours.keep_in(state)
    loop.neighbours.once_for_pages(serve_pages)


def guard() -> Guard:
    """What this process grants its callers, within its limit of open files, which it raises as needed."""
    max_files = open_files.allow(2 * settings.ENV.MAX_CONNECTIONS)
    limits = Limits.from_env(settings.ENV, call_prefixes=lean_urls.PREFIXES, max_files=max_files)
    if limits.max_connections < settings.ENV.MAX_CONNECTIONS:
        log.warning(
            "%d connections at a time, not MAX_CONNECTIONS: the process may open %d files; raise its hard limit to %d"
            " (`ulimit -Hn`, LimitNOFILE, `ulimits` of the container)",
            limits.max_connections,
            max_files,
            2 * settings.ENV.MAX_CONNECTIONS,
        )
    return Guard(limits)


def settle() -> None:
    """Exclude everything loaded so far from later collections, and collect less often. And shorten threads' turns.

    Calls and the connections that they open leave no cycles behind, and each full collection looks at all that Django
    holds: a tenth of a call. One of the youngest looks at as many objects as its threshold says, and every call waits
    for it: with 50,000, of connections that had ended, it took 130 to 160 ms of the processor.

    Pages are made in threads, and beside one the loop waits for each of its turns as long as that of a thread may last.
    """
    sys.setswitchinterval(TURN_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 100, 100)
