"""Random walks of calls, edits, cuts and clock steps: every answer equals the oracle's, to the microsecond."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limiter.core import keys
from limiter.core.store import Ended, Store
from limiter.core.types import Algorithm, CountedPer, Decision, Limit, Subject
from limiter.core.window import Call, bind
from tests.limiter.core.given import ACME, T0, S
from tests.oracle import Oracle, Seen, Verdict

# The store is emptied for every example, so sharing the fixture between examples is sound.
walks = settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
CALLERS = (ACME, replace(ACME, action="createCase", key="k2"), Subject(1, "globex", "lookupOrder", "k9"))
WINDOWS = st.sampled_from([1 * S, 2 * S, 7 * S, 60 * S])
UNITS = st.integers(1, 8)


@dataclass(frozen=True)
class Arrive:
    """A call ``after_us`` the last one."""

    after_us: int
    cost: int
    caller: Subject
    peek: bool


@dataclass(frozen=True)
class WaitOut:
    """The last refused call again, a microsecond too early and then when it was told to come."""


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
class EndOldest:
    """The call that has run longest ends."""


Step = Arrive | WaitOut | StepBack | Cut | Edit | EndOldest

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
LIMITS = st.builds(
    Limit,
    name=st.sampled_from(["a", "b", "c", "d"]),
    algorithm=st.sampled_from(Algorithm),
    quota=UNITS,
    window_us=WINDOWS,
    burst=UNITS,
    lease_us=WINDOWS,
    counted_per=st.sampled_from(CountedPer),
    shadow=st.integers(0, 3).map(lambda n: n == 3),
    adaptive=st.booleans(),
)
STACKS = st.lists(LIMITS, min_size=1, max_size=4, unique_by=lambda limit: limit.name)


@dataclass
class Walk:
    """The limiter and the oracle side by side: whatever happens to one happens to the other."""

    store: Store
    limits: list[Limit]
    now_us: int = T0
    ppm: int | None = None
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
            case EndOldest() if self.running:
                await self.end(*self.running.pop(0))

    async def arrive(self, step: Arrive) -> None:
        call = Call(f"d{self.calls}", cost=step.cost, charge=not step.peek, now_us=self.now_us)
        self.calls += 1
        bound = bind(self.limits, subject=step.caller, default_ppm=1_000_000)
        decision = await self.store.decide(bound, call)
        verdict = self.oracle.decide(self.limits, subject=step.caller, call=call, ppm=self.ppm or 1_000_000)
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
                await self.store.command("SET", key, ppm, "EX", 600, key=key)

    async def end(self, lease: str, caller: Subject) -> None:
        bound = bind(self.limits, subject=caller)
        await self.store.record(bound, [Ended(lease, "answered")], settings=None, now_us=self.now_us)
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
    assert await store.command("XLEN", keys.events(1), key="") == walk.events


# Without the oracle ---------------------------------------------------------------------------------------------------
# The promises themselves, checked by force on what the limiter admitted and refused. Time only goes forward here.


@dataclass(frozen=True)
class Past:
    """What was admitted: instants and costs."""

    admitted: list[tuple[int, int]] = field(default_factory=list)

    def units(self, *, after: int, until: int) -> int:
        return sum(cost for at, cost in self.admitted if after < at <= until)

    def peak(self, window_us: int) -> int:
        """The most units in any window: it is reached in one that ends with an admission."""
        return max((self.units(after=at - window_us, until=at) for at, _ in self.admitted), default=0)


CROWDS = st.lists(
    st.tuples(
        st.one_of(st.sampled_from([0, 0, 1, 1 * S - 1, 1 * S, 2 * S, 7 * S]), st.integers(0, 4 * S)),
        st.one_of(st.just(1), st.integers(1, 4)),
    ),
    min_size=10,
    max_size=80,
)

Judge = Callable[[Past, Limit, int, int], bool]
"""Whether a call at an instant and of a cost has to be refused, after that past."""


async def march(
    store: Store, limit: Limit, crowd: list[tuple[int, int]], must_refuse: Judge, may_refuse: Judge
) -> Past:
    """Let a crowd call; every refusal is justified, every admission allowed, every wait kept to the microsecond."""
    await store.command("FLUSHALL", key="")
    bound, past, now = bind([limit], subject=ACME), Past(), T0

    async def one(cost: int) -> int | None:
        decision = await store.decide(bound, Call(f"d{now}", cost=cost, now_us=now))
        if decision.allowed:
            assert not must_refuse(past, limit, now, cost)
            past.admitted.append((now, cost))
        else:
            assert may_refuse(past, limit, now, cost)
        return decision.retry_after_us

    for after_us, cost in crowd:
        now += after_us
        wait = await one(cost)
        if wait is None:
            assert cost > (limit.burst or limit.quota)
        elif wait > 0:
            now += wait - 1
            assert await one(cost) == 1
            now += 1
            assert await one(cost) == 0
    return past


def log_is_full(past: Past, limit: Limit, now: int, cost: int) -> bool:
    return past.units(after=now - limit.window_us, until=now) + cost > limit.quota


def counter_may_be_full(past: Past, limit: Limit, now: int, cost: int) -> bool:
    """One slice more than the window: the bound on how early a counter refuses."""
    slice_us = -(-limit.window_us // 60)
    return past.units(after=now - limit.window_us - slice_us, until=now) + cost > limit.quota


def bucket_is_empty(past: Past, limit: Limit, now: int, cost: int) -> bool:
    """Whether since some admission more would be taken than the burst and the rate since then give."""
    return any(
        (past.units(after=since - 1, until=now) + cost - limit.burst) * limit.window_us > (now - since) * limit.quota
        for since in [*(at for at, _ in past.admitted), now]
    )


@given(quota=UNITS, window_us=WINDOWS, crowd=CROWDS)
@walks
async def test_a_log_admits_exactly_its_limit_in_any_window(
    store: Store, quota: int, window_us: int, crowd: list[tuple[int, int]]
) -> None:
    limit = Limit("a", Algorithm.SLIDING_LOG, quota, window_us)
    past = await march(store, limit, crowd, log_is_full, log_is_full)
    assert past.peak(window_us) <= quota


@given(quota=UNITS, window_us=WINDOWS, crowd=CROWDS)
@walks
async def test_a_counter_never_admits_more_and_refuses_early_by_at_most_a_slice(
    store: Store, quota: int, window_us: int, crowd: list[tuple[int, int]]
) -> None:
    limit = Limit("a", Algorithm.SLIDING_COUNTER, quota, window_us)
    past = await march(store, limit, crowd, log_is_full, counter_may_be_full)
    assert past.peak(window_us) <= quota


@given(quota=UNITS, burst=UNITS, window_us=WINDOWS, crowd=CROWDS)
@walks
async def test_a_bucket_admits_exactly_its_burst_and_rate(
    store: Store, quota: int, burst: int, window_us: int, crowd: list[tuple[int, int]]
) -> None:
    limit = Limit("a", Algorithm.TOKEN_BUCKET, quota, window_us, burst=burst)
    await march(store, limit, crowd, bucket_is_empty, bucket_is_empty)


@given(
    quota=UNITS, running_us=st.lists(st.tuples(st.integers(0, 2 * S), st.integers(0, 9 * S)), min_size=5, max_size=60)
)
@walks
async def test_slots_are_refused_exactly_when_all_are_taken(
    store: Store, quota: int, running_us: list[tuple[int, int]]
) -> None:
    await store.command("FLUSHALL", key="")
    limit = Limit("a", Algorithm.CONCURRENCY, quota, lease_us=5 * S)
    bound = bind([limit], subject=ACME)
    now, ends = T0, dict[str, int]()
    for number, (after_us, runs_us) in enumerate(running_us):
        now += after_us
        for lease in [lease for lease, at in ends.items() if at <= now]:
            await store.record(bound, [Ended(lease, "answered")], settings=None, now_us=now)
            del ends[lease]
        decision = await store.decide(bound, Call(str(number), now_us=now))
        assert decision.allowed is (len(ends) < quota)
        if decision.allowed:
            ends[str(number)] = now + min(runs_us, limit.lease_us)


@given(
    limits=STACKS.map(lambda limits: [li for li in limits if li.algorithm is not Algorithm.CONCURRENCY]), crowd=CROWDS
)
@walks
async def test_the_wait_of_a_stack_is_kept_to_the_microsecond(
    store: Store, limits: list[Limit], crowd: list[tuple[int, int]]
) -> None:
    await store.command("FLUSHALL", key="")
    bound, now = bind(limits, subject=ACME), T0
    for after_us, cost in crowd:
        now += after_us
        wait = (await store.decide(bound, Call("d", cost=cost, now_us=now))).retry_after_us
        if wait:
            now += wait
            assert not (await store.decide(bound, Call("d", cost=cost, now_us=now - 1))).allowed
            assert (await store.decide(bound, Call("d", cost=cost, now_us=now))).allowed
