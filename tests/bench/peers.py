"""Rate limiters of the Python world on the same store: a call of each, so that decisions are counted alike.

throttled-py's sliding window weighs two counters and is approximate; the moving window of limits is an exact log, as
ours is.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import limits
import limits.aio
import limits.aio.storage
import limits.storage
import limits.strategies
import throttled
import throttled.asyncio

from limiter.core.store import Store
from limiter.core.types import CountedPer, Limit, Subject
from limiter.core.window import Call, bind
from limiter.stores.pipeline import Address
from limiter.stores.pool import PoolSettings, StorePool

QUOTA = 1_000_000
LOG = Limit("minute", "sliding_log", QUOTA, window_us=60_000_000)
STACK = (
    Limit("burst", "token_bucket", 10**6, window_us=10**6, burst=10**6, counted_per=CountedPer.TENANT),
    LOG,
    Limit("day", "sliding_counter", 10**9, window_us=86_400 * 10**6, counted_per=CountedPer.TENANT),
)

Decide = Callable[[], Awaitable[object]]
DecideNow = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Ours:
    """The limiter's core over its own connections, without a gateway around it."""

    store: Store

    @classmethod
    async def open(cls, redis_url: str) -> Ours:
        store = Store(StorePool(Address.from_url(redis_url), PoolSettings(timeout_ms=5_000)))
        await store.open()
        return cls(store)

    def decide(self, stacked: tuple[Limit, ...], action: str) -> Decide:
        """A decision on these limits for one caller of ``action``."""
        stack = bind(stacked, subject=Subject(1, "bench", action, "key"), default_ppm=1_000_000)
        number = iter(range(1 << 60))
        return lambda: self.store.decide(stack, Call(f"d{next(number)}", context="key|request"))


def fresh() -> str:
    """A name that no window has yet."""
    return uuid.uuid4().hex


def throttled_now(redis_url: str) -> DecideNow:
    limiter = throttled.Throttled(
        key=fresh(), using="sliding_window", quota=throttled.per_min(QUOTA), store=throttled.RedisStore(redis_url)
    )
    return limiter.limit


def throttled_async(redis_url: str) -> Decide:
    limiter = throttled.asyncio.Throttled(
        key=fresh(),
        using="sliding_window",
        quota=throttled.per_min(QUOTA),
        store=throttled.asyncio.RedisStore(redis_url),
    )
    return limiter.limit


def limits_now(redis_url: str) -> DecideNow:
    window = limits.strategies.MovingWindowRateLimiter(limits.storage.RedisStorage(redis_url))
    item, key = limits.RateLimitItemPerMinute(QUOTA), fresh()
    return lambda: window.hit(item, key)


def limits_async(redis_url: str) -> Decide:
    storage = limits.aio.storage.RedisStorage(f"async+{redis_url}", implementation="redispy")
    window = limits.aio.strategies.MovingWindowRateLimiter(storage)
    item, key = limits.RateLimitItemPerMinute(QUOTA), fresh()
    return lambda: window.hit(item, key)
