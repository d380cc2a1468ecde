"""How many live pages a person has open, counted across workers. A killed worker's are forgotten when they expire."""

from __future__ import annotations

import logging
import secrets
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import redis.asyncio
from redis.exceptions import RedisError

from limiter.core import keys
from limiter.stores.scripts import Script

MAX_PER_PERSON = 20
HELD_S = 60.0
RENEW_S = 20.0

_TAKE, _RENEW = Script(__file__, "take_seat"), Script(__file__, "renew_seats")

log = logging.getLogger(__name__)


class PageSeat(NamedTuple):
    """One open page of a person."""

    person: int
    name: str


class Seats:
    """One per worker. While the store is unavailable everyone gets a seat, because nobody can be counted."""

    def __init__(
        self, client: redis.asyncio.Redis, *, most: int = MAX_PER_PERSON, held_ms: int = int(HELD_S * 1000)
    ) -> None:
        self._client = client
        self._most = most
        self._held_ms = held_ms

    async def take(self, person: int) -> PageSeat | None:
        """A seat for one more page of this person; None when they have as many as they may."""
        seat = PageSeat(person, secrets.token_hex(8))
        try:
            taken = await _TAKE(self._client, (keys.seats(person),), seat.name, self._held_ms, self._most)
        except (RedisError, OSError) as error:
            log.warning("Open pages are not counted at the moment: %s", type(error).__name__)
            return seat
        return seat if taken else None

    async def renew(self, seats: Iterable[PageSeat]) -> None:
        """Keep them a while longer; what fails is made good by the next renewal."""
        names: defaultdict[int, list[str]] = defaultdict(list)
        for seat in seats:
            names[seat.person].append(seat.name)
        pipeline = self._client.pipeline(transaction=False)
        for person, theirs in names.items():
            _RENEW(pipeline, (keys.seats(person),), self._held_ms, *theirs)
        try:
            await pipeline.execute()
        except (RedisError, OSError) as error:
            log.warning("Open pages are not counted at the moment: %s", type(error).__name__)

    async def leave(self, seat: PageSeat) -> None:
        """Give it back; one that cannot be given back expires."""
        try:
            await self._client.zrem(keys.seats(seat.person), seat.name)
        except (RedisError, OSError):
            log.debug("A seat was not given back and expires")

    async def close(self) -> None:
        await self._client.aclose()
