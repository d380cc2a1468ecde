"""What waits for Celery's workers. One round trip, whatever waits."""

from __future__ import annotations

import json
from dataclasses import dataclass

import redis.asyncio
from celery import current_app

from limiter.core import keys


@dataclass(frozen=True, slots=True)
class QueueState:
    """``waiting``: messages that no worker has taken. ``oldest_s``: how long the oldest of them has waited."""

    waiting: int = 0
    oldest_s: float = 0.0


async def look(client: redis.asyncio.Redis, *, now: float) -> QueueState:
    """Ask the broker; raises RedisError."""
    queues = [keys.queue(queue.name) for queue in current_app.conf.task_queues]
    async with client.pipeline(transaction=False) as pipe:
        for name in queues:
            pipe.llen(name)
            pipe.lindex(name, -1)
        found = await pipe.execute()
    ages = [now - sent for sent in map(_sent_at, found[1::2]) if sent is not None]
    return QueueState(waiting=sum(found[::2]), oldest_s=max([0.0, *ages]))


def _sent_at(message: bytes | None) -> float | None:
    """When it was put there; None when nobody can tell, as for messages of earlier releases."""
    try:
        data = json.loads(message or b"{}")
        return float(data["properties"]["timestamp"])
    except (ValueError, TypeError, KeyError):
        return None
