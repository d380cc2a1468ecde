"""The promises themselves, checked by force on what the limiter admitted and refused, without the oracle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from limiter.core.store import EndedCall, Store
from limiter.core.types import Limit
from limiter.core.window import Call, bind
from tests.limiter.core.given import ACME, T0, S
from tests.limiter.core.walking import STACKS, UNITS, WINDOWS, decided, walks


@dataclass(frozen=True)
class Past:
    """The admitted calls: instants and costs."""

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
        decision = await decided(store, bound, Call(f"d{now}", cost=cost, now_us=now))
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
    limit = Limit("a", "sliding_log", quota, window_us)
    past = await march(store, limit, crowd, log_is_full, log_is_full)
    assert past.peak(window_us) <= quota


@given(quota=UNITS, window_us=WINDOWS, crowd=CROWDS)
@walks
async def test_a_counter_never_admits_more_and_refuses_early_by_at_most_a_slice(
    store: Store, quota: int, window_us: int, crowd: list[tuple[int, int]]
) -> None:
    limit = Limit("a", "sliding_counter", quota, window_us)
    past = await march(store, limit, crowd, log_is_full, counter_may_be_full)
    assert past.peak(window_us) <= quota


@given(quota=UNITS, burst=UNITS, window_us=WINDOWS, crowd=CROWDS)
@walks
async def test_a_bucket_admits_exactly_its_burst_and_rate(
    store: Store, quota: int, burst: int, window_us: int, crowd: list[tuple[int, int]]
) -> None:
    limit = Limit("a", "token_bucket", quota, window_us, burst=burst)
    await march(store, limit, crowd, bucket_is_empty, bucket_is_empty)


@given(
    quota=UNITS, running_us=st.lists(st.tuples(st.integers(0, 2 * S), st.integers(0, 9 * S)), min_size=5, max_size=60)
)
@walks
async def test_slots_are_refused_exactly_when_all_are_taken(
    store: Store, quota: int, running_us: list[tuple[int, int]]
) -> None:
    await store.command("FLUSHALL", key="")
    limit = Limit("a", "concurrency", quota, lease_us=5 * S)
    bound = bind([limit], subject=ACME)
    now, ends = T0, dict[str, int]()
    for number, (after_us, runs_us) in enumerate(running_us):
        now += after_us
        for lease in [lease for lease, at in ends.items() if at <= now]:
            await store.record(bound, [EndedCall(lease, "answered")], settings=None, now_us=now)
            del ends[lease]
        decision = await decided(store, bound, Call(str(number), now_us=now))
        assert decision.allowed is (len(ends) < quota)
        if decision.allowed:
            ends[str(number)] = now + min(runs_us, limit.lease_us)


@given(limits=STACKS.map(lambda limits: [li for li in limits if li.algorithm != "concurrency"]), crowd=CROWDS)
@walks
async def test_the_wait_of_a_stack_is_kept_to_the_microsecond(
    store: Store, limits: list[Limit], crowd: list[tuple[int, int]]
) -> None:
    await store.command("FLUSHALL", key="")
    bound, now = bind(limits, subject=ACME), T0
    for after_us, cost in crowd:
        now += after_us
        wait = (await decided(store, bound, Call("d", cost=cost, now_us=now))).retry_after_us
        if wait:
            now += wait
            assert not (await decided(store, bound, Call("d", cost=cost, now_us=now - 1))).allowed
            assert (await decided(store, bound, Call("d", cost=cost, now_us=now))).allowed
