"""When workers looked for multipliers that were due, and when they put them in force: by the store's own clock."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from itertools import pairwise

import redis.asyncio
from redis.asyncio.client import Monitor

from limiter.core import adaptive, keys
from limiter.core.adaptive import StoredEvidence
from limiter.gateway.assessor import LOOK_S

LOOK_US = round(LOOK_S * 1_000_000)


class Assessments:
    """Of one connection, read from the commands that the store reports with their times.

    ``computed``: all that was put in force for a tenant, the oldest first.
    """

    def __init__(self, connection: int) -> None:
        self._evidence = keys.evidence(connection)
        self._looks: list[tuple[int, str]] = []
        self.computed: dict[str, list[StoredEvidence]] = defaultdict(list)

    @contextlib.asynccontextmanager
    async def watched(self, url: str) -> AsyncIterator[None]:
        async with redis.asyncio.Redis.from_url(url) as client, client.monitor() as monitor:
            reading = asyncio.create_task(self._read(monitor))
            yield
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading

    async def _read(self, monitor: Monitor) -> None:
        async for seen in monitor.listen():
            match seen["command"].split(" "):
                case ["ZRANGE", name, *_] if name == keys.sampled():
                    self._looks.append((round(seen["time"] * 1_000_000), seen["client_port"]))
                case ["HSET", name, field, value] if name == self._evidence:
                    evidence = adaptive.shown_or_none(value)
                    assert evidence is not None
                    self.computed[field.partition("|")[0]].append(evidence)

    def looked_after(self, at_us: int) -> bool:
        return bool(self._looks) and self._looks[-1][0] > at_us

    def late_us(self, since_us: int, until_us: int) -> int:
        """By how much longer than planned the looks of this time took, of the worker that lived through it."""
        living = {client for at, client in self._looks if at > since_us}
        looks = [at for at, client in self._looks if client in living]
        over = [(began, ended) for began, ended in pairwise(looks) if ended > since_us and began < until_us]
        return sum(max(0, ended - began - LOOK_US) for began, ended in over)
