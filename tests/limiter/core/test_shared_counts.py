"""The count of a shared limit is that of the same limit when it is not shared, also where calls use it both ways."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from limiter.core.algorithms import rules_of
from limiter.core.giving_back import Charge, give_back
from limiter.core.store import EndedCall, Store
from limiter.core.types import CountedPer, Decision, Limit, Share
from limiter.core.window import Call, Stack
from tests.limiter.core.given import ACME, T0, S, bucket, counter, log, slots, stack

KINDS = {
    "log": log(60, window_us=6 * S),
    "counter": counter(60, window_us=6 * S),
    "bucket": bucket(60, window_us=6 * S, burst=60),
    "slots": slots(60, lease_us=3 * S),
}
STEPS = 600


class Sides:
    """A limit that tenants share, and that calls under another policy use too; and its twin, which nobody shares."""

    def __init__(self, store: Store, limit: Limit, pick: random.Random) -> None:
        self.store, self.pick = store, pick
        together = replace(limit, counted_per=CountedPer.CONNECTION)
        share = Share(over_us=rules_of(limit.algorithm).shared_over_us(limit))
        self.mixed = (replace(together, share=share), together)
        self.twin = replace(together, name="twin")
        self.open: list[tuple[Stack, Decision, Stack, Decision]] = []

    async def call(self, call: Call) -> tuple[Decision, Decision]:
        """One, charged only if both sides admit it."""
        subject = replace(ACME, tenant=self.pick.choice(["acme", "globex"]))
        ours = stack(self.pick.choice(self.mixed), subject=subject)
        twin = stack(self.twin, subject=replace(subject, connection=2))
        looks = [await self.store.decide(each, call._replace(charge=False)) for each in (ours, twin)]
        if not all(look.allowed for look in looks):
            return looks[0], looks[1]
        first, second = [await self.store.decide(each, call) for each in (ours, twin)]
        self.open.append((ours, first, twin, second))
        return first, second

    async def return_one(self, now_us: int) -> None:
        """The units of one that shares are given back, or the call ends."""
        if not self.open:
            return
        ours, first, twin, second = self.open.pop(self.pick.randrange(len(self.open)))
        if not ours.pools:
            return
        for bound, decision in ((ours, first), (twin, second)):
            if bound.holds_slots:
                await self.store.record(
                    bound, [EndedCall(decision.decision_id, "answered")], settings=None, now_us=now_us
                )
            else:
                await give_back(self.store, bound, [Charge.of(decision)], now_us=now_us)


def calls(pick: random.Random) -> Iterator[tuple[int, Call]]:
    """Busy times and quiet ones; the clock steps back now and then."""
    now = T0
    for number in range(STEPS):
        now += pick.choice([0, 1, 900, S // 40, S // 10, S // 2, -S // 20] if number % 97 else [7 * S, 20 * S])
        yield now, Call(f"d{number}", cost=pick.choice([1, 1, 1, 3]), now_us=now)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
async def test_it_counts_what_its_twin_counts(store: Store, kind: str, seed: int) -> None:
    pick = random.Random(f"{kind}{seed}")
    sides = Sides(store, KINDS[kind], pick)
    charged = 0
    for now, call in calls(pick):
        first, second = await sides.call(call)
        (ours,), (twin,) = first.states, second.states
        assert (ours.used, ours.effective) == (twin.used, twin.effective)
        if not (first.shares and first.shares[0].refused):
            assert (first.allowed, ours.wait_us, ours.reset_us) == (second.allowed, twin.wait_us, twin.reset_us)
        charged += first.allowed and second.allowed
        if pick.random() < 0.1:
            await sides.return_one(now)
    assert charged > STEPS / 3
