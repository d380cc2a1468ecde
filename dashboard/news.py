"""News between workers over the channel layer: whose rights changed, so that open pages are looked at again at once.

News may be lost: open pages are looked at every half minute without any.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction
from redis.exceptions import RedisError

from limiter.core import versioned
from limiter.core.versioned import Form

EVERYONE = 0
"""In place of a person: a group of people, or nobody knows who."""
_GROUP = "dashboard.viewers"
_TYPE = "rights.changed"
_AGAIN_S = 1.0

log = logging.getLogger(__name__)
FORM: Form[int] = Form("news", {1: lambda data: versioned.filled(data, {"person": EVERYONE})["person"]}, lenient=True)
"""Whose rights changed; news that are understood in part are about everyone."""


def rights_changed(person: int = EVERYONE, *, using: str | None = None) -> None:
    """Notify every worker after the commit. Never fails."""
    transaction.on_commit(lambda: _report(person), using=using, robust=True)


def _report(person: int) -> None:
    try:
        async_to_sync(_send)(person)
    except (RedisError, OSError) as error:
        log.warning("Open pages get no news of changed rights, and check by themselves: %s", type(error).__name__)


async def _send(person: int) -> None:
    layer: Any = get_channel_layer()
    await layer.group_send(_GROUP, FORM.named({"type": _TYPE, "person": person}))


async def listen(heard: Callable[[int], None]) -> None:
    """Hand every person whose rights changed to ``heard``, until cancelled. One subscription for all of a worker."""
    while True:
        try:
            await _listen(heard)
        except (RedisError, OSError):
            log.debug("Nobody tells of changed rights at the moment")
        except Exception:
            log.exception("Changed rights are not heard; it is tried again")
        await close()
        await asyncio.sleep(_AGAIN_S)


async def _listen(heard: Callable[[int], None]) -> None:
    layer: Any = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add(_GROUP, channel)
    # News sent while nobody listened is lost.
    heard(EVERYONE)
    while True:
        message = await layer.receive(channel)
        heard(FORM.take(message))


async def close() -> None:
    """Close this worker's connection to the layer, and forget its subscriptions."""
    layer: Any = get_channel_layer()
    with contextlib.suppress(RedisError, OSError):
        await layer.flush()
