"""The vocabulary of the core's tests: limits of each algorithm, Acme's calls, tables of calls with their responses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from limiter.core.store import Store
from limiter.core.types import Decision, Limit, Subject
from limiter.core.window import Call, Stack, bind
from limiter.stores.pipeline import Address
from limiter.stores.pool import PoolSettings, StorePool

S = 1_000_000
"""Microseconds in a second."""
T0 = 1_800_000_000 * S
"""When every story starts. A multiple of the slices that the tests use."""
ACME = Subject(connection=1, tenant="acme", action="lookupOrder", key="k1")
PATIENT = PoolSettings(timeout_ms=20_000, connect_timeout_ms=20_000)
"""For tests that are not about time: a busy machine must not fail them."""


def log(quota: int, *, window_us: int = 10 * S, name: str = "minute", **more: Any) -> Limit:
    return Limit(name, "sliding_log", quota, window_us, **more)


def counter(quota: int, *, window_us: int = 60 * S, name: str = "hour", **more: Any) -> Limit:
    return Limit(name, "sliding_counter", quota, window_us, **more)


def bucket(quota: int, *, burst: int, window_us: int = 10 * S, name: str = "burst", **more: Any) -> Limit:
    return Limit(name, "token_bucket", quota, window_us, burst=burst, **more)


def slots(quota: int, *, lease_us: int = 30 * S, name: str = "inflight", **more: Any) -> Limit:
    return Limit(name, "concurrency", quota, lease_us=lease_us, **more)


def stack(*limits: Limit, subject: Subject = ACME, default_ppm: int | None = None) -> Stack:
    return bind(limits, subject=subject, default_ppm=default_ppm)


def store_at(url: str, settings: PoolSettings = PATIENT) -> Store:
    return Store(StorePool(Address.from_url(url), settings))


class Row(NamedTuple):
    """A call and its response: when it comes (us after T0), its cost, and the state of one limit."""

    at_us: int
    cost: int
    allowed: bool
    used: int
    wait_us: int
    reset_us: int


async def call(
    store: Store, bound: Stack, at_us: int, *, cost: int = 1, lease: str = "d", peek: bool = False
) -> Decision:
    return await store.decide(bound, Call(lease, cost=cost, charge=not peek, now_us=T0 + at_us))


async def play(store: Store, bound: Stack, rows: Iterable[Row]) -> None:
    """Make the calls of a table in order, of a stack of one limit, and compare every response."""
    for number, row in enumerate(rows):
        decision = await call(store, bound, row.at_us, cost=row.cost, lease=f"d{row.at_us}-{number}")
        (state,) = decision.states
        seen = Row(row.at_us, row.cost, decision.allowed, state.used, state.wait_us, state.reset_us)
        assert seen == row, f"row {number}"


async def fill(store: Store, bound: Stack, at_us: Sequence[int], *, cost: int = 1) -> None:
    """Calls that must be admitted."""
    for at in at_us:
        assert (await call(store, bound, at, cost=cost, lease=f"f{at}")).allowed
