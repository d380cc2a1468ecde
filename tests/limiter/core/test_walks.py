"""Random walks of calls, edits, cuts and clock steps: every response equals the oracle's, to the microsecond."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import pytest

from limiter.core import keys
from limiter.core.algorithms import RULES
from limiter.core.shape import LimitsThen
from limiter.core.store import EndedCall, Store
from limiter.core.types import MAX_BURST_SECONDS, MAX_COST, MAX_QUOTA, CountedPer, Decision, Limit, Subject
from limiter.core.window import Call, bind
from tests.limiter.core.given import ACME, T0, S
from tests.limiter.core.walking import decided
from tests.oracle import Oracle, Seen, Verdict

CALLERS = (ACME, replace(ACME, action="createCase", key="k2"), Subject(1, "globex", "lookupOrder", "k9"))


@dataclass(frozen=True)
class Arrive:
    """A call ``after_us`` the last one."""

    after_us: int
    cost: int
    caller: Subject
    peek: bool


@dataclass(frozen=True)
class WaitOut:
    """The last refused call again, a microsecond too early and then at its time."""


@dataclass(frozen=True)
class StepBack:
    by_us: int


@dataclass(frozen=True)
class Cut:
    """A new multiplier in millionths; None when it has ended."""

    ppm: int | None


@dataclass(frozen=True)
class Edit:
    """The limit at this place (counted round) gets new numbers."""

    place: int
    quota: int
    burst: int
    window_us: int


@dataclass(frozen=True)
class Override:
    """It is known that from an instant to come the limits are others; then they are."""

    after_us: int
    quotas: tuple[int, ...]
    shadow: bool


@dataclass(frozen=True)
class EndOldest:
    """The call that has run longest ends."""


Step = Arrive | WaitOut | StepBack | Cut | Edit | Override | EndOldest

GAPS = (0, 1, 2, 999_999, 1 * S, 1 * S + 1, 7 * S, 60 * S)
SPANS = (1 * S, 2 * S, 7 * S, 60 * S)
MAX_UNITS = 8


class Dice(random.Random):
    """What walks are made of. The same seed is the same walk; hypothesis took three times as long as the walks."""

    def units(self) -> int:
        return self.randint(1, MAX_UNITS)

    def gap(self) -> int:
        return self.choice((self.choice(GAPS), self.randint(0, 3 * S), self.randint(0, 130 * S)))

    def limits(self) -> list[Limit]:
        names = self.sample("abcd", self.randint(1, 4))
        return [
            Limit(
                name=name,
                algorithm=self.choice(list(RULES)),
                quota=self.units(),
                window_us=self.choice(SPANS),
                burst=self.units(),
                lease_us=self.choice(SPANS),
                counted_per=self.choice(list(CountedPer)),
                shadow=self.random() < 0.25,
                adaptive=self.random() < 0.5,
            )
            for name in names
        ]

    def arrive(self) -> Step:
        cost = self.choice((1, self.randint(1, 9)))
        return Arrive(after_us=self.gap(), cost=cost, caller=self.choice(CALLERS), peek=self.random() < 0.1)

    def wait_out(self) -> Step:
        return WaitOut()

    def step_back(self) -> Step:
        return StepBack(self.choice((self.randint(1, 10), self.randint(1, 20 * S))))

    def cut(self) -> Step:
        return Cut(self.choice((None, self.randint(200_000, 1_500_000))))

    def edit(self) -> Step:
        return Edit(place=self.randint(0, 3), quota=self.units(), burst=self.units(), window_us=self.choice(SPANS))

    def end_oldest(self) -> Step:
        return EndOldest()

    def override(self) -> Step:
        quotas = tuple(self.units() for _ in range(4))
        return Override(after_us=self.gap(), quotas=quotas, shadow=self.random() < 0.5)

    def step(self) -> Step:
        """A call, most often."""
        calls: tuple[Callable[[], Step], ...] = (*9 * (self.arrive,), *3 * (self.wait_out,))
        return self.choice((*calls, self.step_back, self.cut, self.edit, self.end_oldest))()

    def large_limit(self) -> Limit:
        """The largest numbers a policy may have: where doubles begin to be too coarse if a script is careless."""
        window_seconds = self.choice((1, 59, 3600, 86_400, 31 * 86_400))
        return Limit(
            "a",
            self.choice(("token_bucket", "sliding_counter")),
            self.choice((self.randint(1, 5000), self.randint(1, MAX_QUOTA))),
            window_seconds * S,
            burst=self.randint(1, min(5000, MAX_BURST_SECONDS // window_seconds)),
        )

    def large_step(self) -> Step:
        gap = self.choice((self.randint(0, 5), self.randint(0, 10**7), self.randint(0, 40 * 86_400 * S)))
        call = Arrive(after_us=gap, cost=self.randint(1, MAX_COST), caller=ACME, peek=False)
        return self.choice((call, WaitOut(), Cut(self.randint(1, 1_000_000))))


@dataclass
class Walk:
    """The limiter and the oracle side by side: whatever happens to one happens to the other."""

    store: Store
    limits: list[Limit]
    now_us: int = T0
    ppm: int | None = None
    change: LimitsThen | None = None
    oracle: Oracle = field(default_factory=Oracle)
    running: list[tuple[str, Subject]] = field(default_factory=list)
    refused: tuple[Arrive, int] | None = None
    calls: int = 0
    events: int = 0

    async def take(self, step: Step) -> None:
        match step:
            case Arrive():
                self.now_us += step.after_us
                await self.arrive(step)
            case WaitOut() if self.refused is not None:
                again, wait_us = self.refused
                await self.take(replace(again, after_us=wait_us - 1))
                await self.take(replace(again, after_us=1))
            case StepBack():
                self.now_us -= step.by_us
            case Cut():
                await self.cut(step.ppm)
            case Edit():
                at = step.place % len(self.limits)
                edited = replace(self.limits[at], quota=step.quota, burst=step.burst, window_us=step.window_us)
                self.limits[at] = edited
            case Override():
                self.override(step)
            case EndOldest() if self.running:
                await self.end(*self.running.pop(0))

    def override(self, step: Override) -> None:
        """Limits of the same windows: an override changes numbers and whether they refuse."""
        changed = zip(self.limits, step.quotas, strict=False)
        then = [replace(limit, quota=q, burst=q, shadow=limit.shadow ^ step.shadow) for limit, q in changed]
        self.change = LimitsThen(self.now_us + step.after_us, tuple(then))

    async def arrive(self, step: Arrive) -> None:
        if self.change is not None and self.change.at_us <= self.now_us:
            self.limits, self.change = list(self.change.limits), None
        call = Call(f"d{self.calls}", cost=step.cost, charge=not step.peek, now_us=self.now_us)
        self.calls += 1
        bound = bind(self.limits, subject=step.caller, default_ppm=1_000_000, change=self.change)
        decision = await decided(self.store, bound, call)
        verdict = self.oracle.decide(
            self.limits, subject=step.caller, call=call, ppm=self.ppm or 1_000_000, change=self.change
        )
        assert as_verdict(decision, event=verdict.event) == verdict
        self.events += verdict.event
        self.refused = (step, verdict.retry_after_us) if verdict.retry_after_us else None
        if decision.leases:
            self.running.append((call.decision_id, step.caller))

    async def cut(self, ppm: int | None) -> None:
        self.ppm = ppm
        for caller in CALLERS:
            key = keys.multiplier(caller.connection, caller.tenant, None)
            if ppm is None:
                await self.store.command("DEL", key, key=key)
            else:
                await self.store.command("SET", key, ppm, key=key)  # no end is known

    async def end(self, lease: str, caller: Subject) -> None:
        bound = bind(self.limits, subject=caller)
        await self.store.record(bound, [EndedCall(lease, "answered")], settings=None, now_us=self.now_us)
        self.oracle.release(self.limits, subject=caller, lease=lease)


def as_verdict(decision: Decision, *, event: bool) -> Verdict:
    """A decision in the oracle's words. Events are counted at the end of a walk."""
    seen = tuple(Seen(s.used, s.effective, s.wait_us, s.reset_us) for s in decision.states)
    return Verdict(decision.allowed, decision.retry_after_us, seen, event)


async def walked(store: Store, limits: list[Limit], steps: Iterable[Step], *, seed: int) -> Walk:
    """A walk from an empty store; a failure names the walk and its last step."""
    await store.command("FLUSHALL", key="")
    walk = Walk(store, limits)
    for number, step in enumerate(steps):
        try:
            await walk.take(step)
        except AssertionError as error:
            error.add_note(f"walk {seed}, step {number}: {step}, with {walk.limits}")
            raise
    return walk


@pytest.mark.parametrize("walks", [30, pytest.param(1_000, marks=pytest.mark.slow)])
async def test_every_decision_equals_the_oracle_s(store: Store, walks: int) -> None:
    for seed in range(walks):
        dice = Dice(seed)
        walk = await walked(store, dice.limits(), [dice.step() for _ in range(60)], seed=seed)
        kinds = await store.command("HGETALL", keys.floods(1), key="")
        counts = zip(kinds[::2], kinds[1::2], strict=True)
        assert sum(int(count) for kind, count in counts if kind[-5:] != b"|last") == walk.events, seed


@pytest.mark.parametrize("walks", [20, pytest.param(200, marks=pytest.mark.slow)])
async def test_a_wait_foresees_the_start_and_end_of_an_override(store: Store, walks: int) -> None:
    for seed in range(walks):
        dice = Dice(seed)
        steps = [dice.override() if dice.random() < 1 / 3 else dice.step() for _ in range(60)]
        await walked(store, dice.limits(), (step for step in steps if not isinstance(step, Edit)), seed=seed)


@pytest.mark.parametrize("walks", [40, pytest.param(300, marks=pytest.mark.slow)])
async def test_the_largest_numbers_are_exact_too(store: Store, walks: int) -> None:
    for seed in range(walks):
        dice = Dice(seed)
        await walked(store, [dice.large_limit()], [dice.large_step() for _ in range(30)], seed=seed)
