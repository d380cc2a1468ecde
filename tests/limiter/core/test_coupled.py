"""Coupled limits: one call takes from several limits of its connection at once, and the limits of an action are known
by their names. NICE's published limits of its Digital Engagement API, as docs/policies.md gives them.
"""

from __future__ import annotations

from dataclasses import replace

from limiter.core.store import Store
from limiter.core.types import CountedPer, Limit
from limiter.core.window import Stack
from tests.limiter.core.given import ACME, S, call, counter, fill, stack

HOUR = 3600 * S


def per_connection(name: str, quota: int, window_us: int = HOUR) -> Limit:
    return counter(quota, name=name, window_us=window_us, counted_per=CountedPer.CONNECTION)


UPDATES = per_connection("contact-updates", 1_000_000)
OUTBOUND = per_connection("outbound", 6_000, 60 * S)
INBOUND = per_connection("inbound", 360_000)
READS = per_connection("contact-reads", 120_000)


def acting(action: str, *limits: Limit, tenant: str = "acme") -> Stack:
    return stack(*limits, subject=replace(ACME, action=action, tenant=tenant))


async def used(store: Store, bound: Stack, at_us: int) -> dict[str, int]:
    return {state.limit.name: state.used for state in (await call(store, bound, at_us, peek=True)).states}


async def test_messages_of_all_tenants_count_as_updates_of_contacts_too(store: Store) -> None:
    await fill(store, acting("send", UPDATES, OUTBOUND), [0], cost=1_000)
    await fill(store, acting("receive", UPDATES, INBOUND, tenant="globex"), [1], cost=500)
    await fill(store, acting("update", UPDATES), [2], cost=20)
    await fill(store, acting("read", READS), [3], cost=7)
    seen = await used(store, acting("look", UPDATES, OUTBOUND, INBOUND, READS), 4)
    assert seen == {"contact-updates": 1_520, "outbound": 1_000, "inbound": 500, "contact-reads": 7}


async def test_a_message_that_one_limit_refuses_is_charged_to_neither(store: Store) -> None:
    sending = acting("send", UPDATES, OUTBOUND)
    await fill(store, sending, range(6), cost=1_000)
    refused = await call(store, sending, 7)
    assert [state.limit.name for state in refused.violated] == ["outbound"]
    assert await used(store, sending, 8) == {"contact-updates": 6_000, "outbound": 6_000}
    assert (await call(store, acting("update", UPDATES), 9)).allowed
