"""Appointments as a release leaves them in the store: of a window and a bucket, and of both where tenants share them.

``appointments.json`` has what each release wrote with its own code; ``of_0_2_0`` reads as that one did.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any, NamedTuple

from limiter.core.algorithms import rules_of
from limiter.core.store import Store
from limiter.core.types import CountedPer, Decision, Share, Subject
from limiter.core.window import Call, Stack, bind
from tests import releases
from tests.limiter.core.given import T0, S, bucket, log, store_at
from tests.releases import in_store

LONG_US = 3_000_000 * S
"""So long that no key ends while a sample is looked at, by whatever clock."""
ALL = sorted(path.parent.name for path in releases.HERE.glob("*/appointments.json"))
_LIMITS = (log(1, window_us=LONG_US, name="window"), bucket(1, burst=1, window_us=LONG_US, name="bucket"))


class Appointment(NamedTuple):
    whose: str
    cost: int
    due: float
    ends: float


def stacks() -> dict[str, Stack]:
    """By the limit's name; a shared one lets units be held for one window ahead."""
    return {
        limit.name: bind([limit], subject=Subject(1, "acme", "lookupOrder", "k1"))
        for each in _LIMITS
        for limit in (
            replace(each, reserve_us=60 * S),
            replace(
                each,
                name=f"shared {each.name}",
                reserve_us=60 * S,
                counted_per=CountedPer.CONNECTION,
                share=Share(over_us=rules_of(each.algorithm).shared_over_us(each)),
            ),
        )
    }


def client(number: int) -> str:
    return f"{number:08x}" + 12 * "0"


async def ask(store: Store, stack: Stack, number: int, at_us: int) -> Decision:
    """The call of a client (at_us: after T0)."""
    own, itself = client(number), f"{number:08x}{number + 1:012x}"
    return await store.decide(stack, Call(f"d{number}", now_us=T0 + at_us, patience_us=0, client=own, itself=itself))


async def write(url: str) -> dict[str, Any]:
    """Let one client pass and the next one get an appointment; returns what the store has then, and the waits."""
    store, found = store_at(url), dict[str, Any]()
    await store.open()
    for name, stack in stacks().items():
        await ask(store, stack, 0, 0)
        wait = (await ask(store, stack, 1, S)).retry_after_us
        found[name] = {"wait_us": wait, "store": in_store.stored(url, stack.keys[8:])}
    await store.close()
    return found


def of_0_2_0(value: bytes) -> list[Appointment]:
    """Its own rules: another version than the first is none."""
    if value[:1] != b"1":
        return []
    return [Appointment(whose.decode(), *numbers) for whose, *numbers in struct.iter_unpack("<21sIdd", value[1:])]
