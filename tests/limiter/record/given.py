"""The steps of the record's tests: refusals decided by the real script, and the work of storing them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import redis

from limiter.core import keys
from limiter.core.types import Limit, Subject
from limiter.core.window import Call, bind
from tests.limiter.core.given import T0, S, log, store_at

GOLD: dict[str, Any] = {"policy_name": "Gold", "policy_version": 7}


def refuse(
    url: str,
    count: int,
    *,
    tenant: str = "acme",
    action: str = "lookupOrder",
    key: str = "k1",
    name: str = "d",
    connection: int = 1,
    limits: Sequence[Limit] | None = None,
    per_second: int = 10,
    after_s: int = 0,
) -> None:
    """Let ``count`` calls be refused, ``per_second`` of them in each second from ``after_s`` on.

    Their decisions are ``<name>0`` …; more than ten a second are a flood.
    """
    subject = Subject(connection=connection, tenant=tenant, action=action, key=key)
    stack = bind(limits or [log(1, window_us=3_600 * S, **GOLD)], subject=subject, default_ppm=1_000_000)

    async def call() -> None:
        store = store_at(url)
        await store.open()
        if (await store.decide(stack, Call("first", charge=False, now_us=T0 - S))).allowed:
            await store.decide(stack, Call("first", now_us=T0 - S))
        for number in range(count):
            at = T0 + (after_s + number // per_second) * S + number % per_second
            decision = await store.decide(stack, Call(f"{name}{number}", context=f"{key}|r{number}", now_us=at))
            assert bool(decision.violated) != bool(decision.shadow_violated), decision
        await store.close()

    asyncio.run(call())
    with redis.Redis.from_url(url) as client:
        client.sadd(keys.connections(), connection)
