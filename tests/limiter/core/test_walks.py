"""Random walks of calls, edits, cuts and clock steps: every response equals the oracle's, to the microsecond."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from limiter.core import keys
from limiter.core.store import EndedCall, Store
from limiter.core.types import MAX_BURST_SECONDS, MAX_COST, MAX_QUOTA, Decision, Limit, Subject
from limiter.core.window import Call, LimitsThen, bind
from tests.limiter.core.given import ACME, T0, S
from tests.limiter.core.walking import STACKS, UNITS, WINDOWS, decided, walks
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

GAPS = st.one_of(
    st.sampled_from([0, 1, 2, 999_999, 1 * S, 1 * S + 1, 7 * S, 60 * S]), st.integers(0, 3 * S), st.integers(0, 130 * S)
)


def arrivals() -> st.SearchStrategy[Step]:
    """A new strategy each time: ``one_of`` draws evenly from different ones, and most steps are to be calls."""
    return st.builds(
        Arrive,
        after_us=GAPS,
        cost=st.one_of(st.just(1), st.integers(1, 9)),
        caller=st.sampled_from(CALLERS),
        peek=st.integers(0, 9).map(lambda n: n == 9),
    )


STEPS = st.one_of(
    *(arrivals() for _ in range(9)),
    *(st.builds(WaitOut) for _ in range(3)),
    st.builds(StepBack, st.one_of(st.integers(1, 10), st.integers(1, 20 * S))),
    st.builds(Cut, st.one_of(st.none(), st.integers(200_000, 1_500_000))),
    st.builds(Edit, place=st.integers(0, 3), quota=UNITS, burst=UNITS, window_us=WINDOWS),
    st.builds(EndOldest),
)
OVERRIDES = st.builds(Override, after_us=GAPS, quotas=st.tuples(UNITS, UNITS, UNITS, UNITS), shadow=st.booleans())


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


@given(limits=STACKS, steps=st.lists(STEPS, min_size=30, max_size=60))
@settings(walks, max_examples=400)
async def test_every_answer_equals_the_oracle_s(store: Store, limits: list[Limit], steps: list[Step]) -> None:
    await store.command("FLUSHALL", key="")
    walk = Walk(store, list(limits))
    for step in steps:
        await walk.take(step)
    kinds = await store.command("HGETALL", keys.floods(1), key="")
    assert (
        sum(int(count) for kind, count in zip(kinds[::2], kinds[1::2], strict=True) if kind[-5:] != b"|last")
        == walk.events
    )


@given(limits=STACKS, steps=st.lists(st.one_of(STEPS, STEPS, OVERRIDES), min_size=30, max_size=60))
@walks
async def test_a_wait_foresees_the_start_and_end_of_an_override(
    store: Store, limits: list[Limit], steps: list[Step]
) -> None:
    await store.command("FLUSHALL", key="")
    walk = Walk(store, list(limits))
    for step in steps:
        if not isinstance(step, Edit):
            await walk.take(step)


@st.composite
def large_limits(draw: st.DrawFn) -> Limit:
    """The largest numbers a policy may have: where doubles begin to be too coarse if a script is careless."""
    window_seconds = draw(st.sampled_from([1, 59, 3600, 86_400, 31 * 86_400]))
    return Limit(
        "a",
        draw(st.sampled_from(["token_bucket", "sliding_counter"])),
        draw(st.one_of(st.integers(1, 5000), st.integers(1, MAX_QUOTA))),
        window_seconds * S,
        burst=draw(st.integers(1, min(5000, MAX_BURST_SECONDS // window_seconds))),
    )


LARGE_STEPS = st.one_of(
    st.builds(
        Arrive,
        after_us=st.one_of(st.integers(0, 5), st.integers(0, 10**7), st.integers(0, 40 * 86_400 * S)),
        cost=st.integers(1, MAX_COST),
        caller=st.just(ACME),
        peek=st.just(False),
    ),
    st.builds(WaitOut),
    st.builds(Cut, st.integers(1, 1_000_000)),
)


@given(limit=large_limits(), steps=st.lists(LARGE_STEPS, min_size=10, max_size=30))
@walks
async def test_the_largest_numbers_are_exact_too(store: Store, limit: Limit, steps: list[Step]) -> None:
    await store.command("FLUSHALL", key="")
    walk = Walk(store, [limit])
    for step in steps:
        await walk.take(step)
