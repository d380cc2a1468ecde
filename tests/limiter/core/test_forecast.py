"""When a limit will be full: each forecast is compared with what then happens, on a clock that is handed in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count, takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limiter.core import forecast
from limiter.core.held import Holding
from limiter.core.store import Store
from limiter.core.types import Limit
from tests.limiter.core.given import T0, S, bucket, call, counter, log, slots, stack

MINUTE = 60 * S


def steadily(per_second: float, *, since_us: int = 0) -> Iterator[int]:
    """When calls come that are evenly apart."""
    return (since_us + round(number * S / per_second) for number in count())


def faster_and_faster(per_second: float, more_each_second: float) -> Iterator[int]:
    """When calls come whose rate grows evenly."""
    at = 0.0
    while True:
        yield round(at * S)
        at += 1 / (per_second + more_each_second * at)


async def happen(store: Store, limit: Limit, calls: Iterable[int], *, until_us: int) -> None:
    """Make the calls up to a moment."""
    bound = stack(limit)
    for number, at in enumerate(takewhile(lambda at: at <= until_us, calls)):
        await call(store, bound, at, lease=f"d{number}")


async def foretold(store: Store, limit: Limit, at_us: int, *, earlier: Holding | None = None) -> int | None:
    """In how many microseconds from ``at_us`` the limit is said to be full."""
    held = await store.held(stack(limit), limit, now_us=T0 + at_us)
    return forecast.full_in_us(limit, held, effective=limit.burst or limit.quota, earlier=earlier)


async def happened(store: Store, limit: Limit, calls: Iterable[int], *, after_us: int, for_us: int) -> int | None:
    """In how many microseconds from ``after_us`` no unit was left; None when that did not come within ``for_us``."""
    bound = stack(limit)
    for at in takewhile(lambda at: at <= after_us + for_us, calls):
        if at <= after_us:
            continue
        (state,) = (await call(store, bound, at, lease=f"e{at}")).states
        if state.remaining == 0:
            return at - after_us
    return None


STEADY = [log(600, window_us=MINUTE), counter(600, window_us=MINUTE)]


@pytest.mark.parametrize("limit", STEADY, ids=lambda limit: limit.algorithm)
@pytest.mark.parametrize("after_s", [3, 15, 40])
async def test_at_a_steady_pace_it_is_right_within_a_twentieth(store: Store, limit: Limit, after_s: int) -> None:
    await happen(store, limit, steadily(12), until_us=after_s * S)
    said = await foretold(store, limit, after_s * S)
    came = await happened(store, limit, steadily(12), after_us=after_s * S, for_us=2 * MINUTE)
    assert said == pytest.approx(came, rel=0.05)


@pytest.mark.parametrize("limit", STEADY, ids=lambda limit: limit.algorithm)
async def test_what_leaves_meanwhile_is_counted(store: Store, limit: Limit) -> None:
    # 400 came at once, 50 s ago; since then 8 a second. In 10 s the 400 leave, so 600 are never there at 8 a second,
    # though the 800 that are there at that pace without them would be.
    calls = sorted([*[0] * 400, *takewhile(lambda at: at < 3 * MINUTE, steadily(8, since_us=45 * S))])
    await happen(store, limit, calls, until_us=50 * S)
    assert await foretold(store, limit, 50 * S) is None
    assert await happened(store, limit, calls, after_us=50 * S, for_us=2 * MINUTE) is None


@pytest.mark.parametrize("limit", STEADY, ids=lambda limit: limit.algorithm)
async def test_a_crowd_that_leaves_first_makes_it_later(store: Store, limit: Limit) -> None:
    calls = sorted([*[0] * 400, *takewhile(lambda at: at < 3 * MINUTE, steadily(12, since_us=45 * S))])
    await happen(store, limit, calls, until_us=50 * S)
    said = await foretold(store, limit, 50 * S)
    came = await happened(store, limit, calls, after_us=50 * S, for_us=2 * MINUTE)
    assert said == pytest.approx(came, rel=0.05)
    assert said is not None and said > 40 * S  # By 200 places at 12 a second it would be 12 s.


@pytest.mark.parametrize("limit", STEADY, ids=lambda limit: limit.algorithm)
@pytest.mark.parametrize(("per_second", "fills"), [(9.6, False), (10.4, True)])
async def test_a_rate_just_under_the_limit_never_fills_it_and_one_just_over_does(
    store: Store, limit: Limit, per_second: float, fills: bool
) -> None:
    await happen(store, limit, steadily(per_second), until_us=30 * S)
    assert (await foretold(store, limit, 30 * S) is not None) is fills
    came = await happened(store, limit, steadily(per_second), after_us=30 * S, for_us=3 * MINUTE)
    assert (came is not None) is fills


async def test_of_a_ramp_it_tells_what_the_pace_of_now_leads_to_and_so_errs_late(store: Store) -> None:
    limit, calls = log(600, window_us=MINUTE), list(takewhile(lambda at: at < 90 * S, faster_and_faster(2, 0.5)))
    await happen(store, limit, calls, until_us=30 * S)
    said = await foretold(store, limit, 30 * S)
    came = await happened(store, limit, calls, after_us=30 * S, for_us=MINUTE)
    assert said is not None and came is not None
    assert came <= said <= 1.7 * came


@pytest.mark.parametrize("limit", STEADY, ids=lambda limit: limit.algorithm)
async def test_after_a_burst_and_silence_it_will_not_fill(store: Store, limit: Limit) -> None:
    await happen(store, limit, steadily(100), until_us=3 * S)
    assert await foretold(store, limit, 3 * S) == pytest.approx(3 * S, rel=0.05)
    assert await foretold(store, limit, 20 * S) is None


@pytest.mark.parametrize("limit", STEADY, ids=lambda limit: limit.algorithm)
async def test_a_full_limit_is_full_now_and_an_empty_one_says_nothing(store: Store, limit: Limit) -> None:
    assert await foretold(store, limit, 0) is None
    await happen(store, limit, [0] * 600, until_us=0)
    assert await foretold(store, limit, S) == 0


async def test_a_single_call_tells_no_pace(store: Store) -> None:
    limit = log(2, window_us=MINUTE)
    await happen(store, limit, [0], until_us=0)
    assert await foretold(store, limit, S) is None


async def test_a_slow_pace_is_measured_over_calls_that_lie_further_back(store: Store) -> None:
    # One call in 16 s: none may have come in the last ten. The unit that is due in 2 s is foretold up to a gap later.
    limit = log(3, window_us=MINUTE)
    await happen(store, limit, steadily(1 / 16), until_us=30 * S)
    assert await foretold(store, limit, 30 * S) == pytest.approx(16 * S, rel=0.01)
    assert await happened(store, limit, steadily(1 / 16), after_us=30 * S, for_us=MINUTE) == 2 * S


async def test_costly_calls_count_by_their_units(store: Store) -> None:
    limit, bound = log(600, window_us=MINUTE), stack(log(600, window_us=MINUTE))
    for at in range(0, 20 * S + 1, S):
        await call(store, bound, at, cost=15, lease=f"d{at}")
    # 315 are there, 15 a second come.
    assert await foretold(store, limit, 20 * S) == pytest.approx(19 * S, rel=0.05)


async def test_a_bucket_is_full_when_the_pace_has_outrun_the_refill(store: Store) -> None:
    # 250 at once, 1 a second given back, 3 a second taken.
    limit = bucket(60, burst=250, window_us=MINUTE)
    await happen(store, limit, steadily(3), until_us=20 * S)
    earlier = await store.held(stack(limit), limit, now_us=T0 + 20 * S)
    assert await foretold(store, limit, 20 * S) is None  # One look does not tell a pace.
    await happen(store, limit, (at for at in steadily(3, since_us=20 * S + 1)), until_us=50 * S)
    said = await foretold(store, limit, 50 * S, earlier=earlier)
    came = await happened(store, limit, steadily(3, since_us=20 * S + 1), after_us=50 * S, for_us=5 * MINUTE)
    assert said == pytest.approx(came, rel=0.05)


@pytest.mark.parametrize(("per_second", "fills"), [(0.9, False), (1.2, True)])
async def test_a_bucket_fills_only_above_its_refill(store: Store, per_second: float, fills: bool) -> None:
    limit = bucket(60, burst=250, window_us=MINUTE)
    await happen(store, limit, [0] * 100, until_us=0)
    earlier = await store.held(stack(limit), limit, now_us=T0)
    await happen(store, limit, steadily(per_second, since_us=1), until_us=30 * S)
    assert (await foretold(store, limit, 30 * S, earlier=earlier) is not None) is fills


async def test_a_cut_bucket_is_refilled_by_what_the_multiplier_leaves(store: Store) -> None:
    limit = bucket(60, burst=250, window_us=MINUTE)
    await happen(store, limit, [0] * 100, until_us=0)
    whole = await store.held(stack(limit), limit, now_us=T0 + 30 * S)
    halved = await store.held(stack(limit), limit, multiplier_ppm=500_000, now_us=T0 + 30 * S)
    assert (whole.used, halved.used) == (70, 85)


def test_of_calls_in_flight_nothing_is_foretold() -> None:
    held = Holding(T0, 9, pace=5.0)
    assert forecast.full_in_us(slots(10), held, effective=10) is None


async def test_a_long_log_is_read_in_sixty_blocks_that_hold_all_its_units(store: Store) -> None:
    limit = log(10_000, window_us=MINUTE)
    bound = stack(limit)
    for at in range(0, 50 * S, S // 2):
        await call(store, bound, at, cost=37, lease=f"d{at}")
    held = await store.held(bound, limit, now_us=T0 + 50 * S)
    assert len(held.leaves) <= forecast.POINTS
    assert sum(units for _, units in held.leaves) == held.used == 3_700
    assert [at for at, _ in held.leaves] == sorted(at for at, _ in held.leaves)
    assert held.leaves[-1][0] == 59 * S + S // 2


async def test_a_look_changes_nothing(store: Store) -> None:
    for limit in (*STEADY, bucket(60, burst=100)):
        await happen(store, limit, steadily(5), until_us=10 * S)
        before = (await call(store, stack(limit), 10 * S, peek=True)).states
        await foretold(store, limit, 200 * S)
        assert (await call(store, stack(limit), 10 * S, peek=True)).states == before


@settings(max_examples=200, deadline=None)
@given(
    quota=st.integers(2, 100_000),
    window_s=st.integers(1, 86_400),
    over=st.floats(1.001, 50),
    leaves=st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(1, 1_000)), max_size=60),
    algorithm=st.sampled_from(["sliding_log", "sliding_counter"]),
)
def test_what_comes_faster_than_the_limit_is_never_said_not_to_fill_it(
    quota: int, window_s: int, over: float, leaves: list[tuple[float, int]], algorithm: str
) -> None:
    limit = Limit("any", algorithm, quota, window_s * S)
    going = tuple(sorted((round(share * limit.window_us), units) for share, units in leaves))
    held = Holding(T0, sum(units for _, units in going), pace=over * quota / window_s, leaves=going)
    said = forecast.full_in_us(limit, held, effective=quota)
    assert said is not None
    # Never later than an empty window would take, and never sooner than without anything leaving.
    room = max(0, quota - held.used)
    assert room * S / held.pace - 1 <= said <= limit.window_us / over + S if held.pace else False


@settings(max_examples=200, deadline=None)
@given(
    quota=st.integers(2, 100_000),
    window_s=st.integers(60, 86_400),
    under=st.floats(0.01, 0.95),
    share=st.floats(0.0, 0.05),
)
def test_what_comes_slower_and_finds_room_is_never_said_to_fill_it(
    quota: int, window_s: int, under: float, share: float
) -> None:
    limit = Limit("any", "sliding_log", quota, window_s * S)
    used = int(share * quota)
    held = Holding(T0, used, pace=under * quota / window_s, leaves=((1, used),) if used else ())
    assert forecast.full_in_us(limit, held, effective=quota) is None
