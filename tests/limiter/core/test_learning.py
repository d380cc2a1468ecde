"""How many calls a unit bears in flight: a trial tells load from other slowness, and the limit follows p95."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from limiter.core.ends import End, LearningSettings, Seen
from limiter.core.learned import Mode, State
from limiter.core.learning import step

S = 1_000_000
SETTINGS = LearningSettings(max_in_flight=100)
CALM = State(normal_us=200_000.0)
AT = 100 * S


def ends(number: int, latency_ms: float, *, until_us: int = AT, per_s: float = 10, in_flight: int = 5) -> list[End]:
    """So many calls of this latency, evenly, the last of them at ``until_us``."""
    apart = int(S / per_s)
    return [End(until_us - n * apart, int(latency_ms * 1000), False, in_flight) for n in reversed(range(number))]


def seen(found: Sequence[End], *, at_us: int = AT, in_flight: int = 20, ages_us: Sequence[int] = ()) -> Seen:
    return Seen(at_us, in_flight, ages_us, found)


def slow_for(seconds: float, *, normal_ms: float = 200) -> State:
    return State(normal_us=normal_ms * 1000, slow_since_us=AT - int(seconds * S))


def test_a_unit_that_is_fast_bears_what_it_is_given() -> None:
    state = step(CALM, seen(ends(50, 300)), SETTINGS)
    assert (state.mode, state.allowed(SETTINGS)) == (Mode.WHOLE, 100)


def test_slowness_of_two_and_a_half_seconds_is_put_to_the_test_with_half_as_many_calls() -> None:
    assert step(slow_for(2.4), seen(ends(50, 1600)), SETTINGS).mode is Mode.WHOLE
    state = step(slow_for(2.5), seen(ends(50, 1600)), SETTINGS)
    assert (state.mode, state.limit) == (Mode.TRIAL, 10)


def test_about_half_of_the_calls_that_end_are_replaced_while_more_are_in_flight_than_the_limit() -> None:
    """Else a limit that fell far would refuse everybody until the others have ended."""
    state = step(slow_for(2.5), seen(ends(50, 1600), in_flight=90), SETTINGS)
    assert (state.limit, state.rate) == (45, 10)
    assert state.allowed(SETTINGS) == 88, "of five that end until the next step"
    drained = step(state, seen(ends(50, 1600, until_us=AT + S), at_us=AT + S, in_flight=46), SETTINGS)
    assert drained.allowed(SETTINGS) == 45


def test_calls_that_start_while_others_drain_judge_no_limit() -> None:
    began_us = AT - 5 * S
    draining = State(mode=Mode.TRIAL, limit=10, at_us=AT - S, set_us=began_us, began_us=began_us, normal_us=200_000.0)
    found = [*ends(20, 1600, until_us=AT - 5 * S), *ends(20, 100)]
    for in_flight, mode in ((40, Mode.TRIAL), (10, Mode.FOLLOWING)):
        state = step(draining, seen(found, in_flight=in_flight), SETTINGS)
        assert (state.mode, state.set_us) == (mode, AT)


def test_a_queue_that_works_itself_off_is_put_to_no_test() -> None:
    """Ten calls a second within 0.8 s, with a margin, are 6.4 in flight: a trial that helps would allow as many."""
    for in_flight, mode in ((6, Mode.WHOLE), (7, Mode.TRIAL)):
        assert step(slow_for(5), seen(ends(50, 1600), in_flight=in_flight), SETTINGS).mode is mode


@pytest.mark.parametrize(("earlier", "mode"), [(21, Mode.WHOLE), (20, Mode.TRIAL), (10, Mode.TRIAL)])
def test_a_queue_that_shortens_is_put_to_no_test(earlier: int, mode: Mode) -> None:
    found = [*ends(40, 1600, until_us=AT - S, in_flight=earlier), *ends(9, 1600, in_flight=20)]
    assert step(slow_for(5), seen(found, in_flight=20), SETTINGS).mode is mode
    turned = [end._replace(pushed_back=n % 10 == 0) for n, end in enumerate(found)]
    assert step(slow_for(5), seen(turned, in_flight=20), SETTINGS).mode is Mode.TRIAL, "a full queue is no shorter"


def test_one_slow_call_in_ten_is_no_reason_for_a_trial() -> None:
    found = [replace_latency(end, 5000) if n % 10 == 0 else end for n, end in enumerate(ends(50, 250))]
    state = step(slow_for(10), seen(found), SETTINGS)
    assert state.p95_us > SETTINGS.threshold_us
    assert state.mode is Mode.WHOLE


def replace_latency(end: End, ms: int) -> End:
    return end._replace(latency_us=ms * 1000)


def test_a_dead_unit_is_noticed_by_the_age_of_the_calls_in_flight() -> None:
    state = step(slow_for(2.5), seen([], in_flight=30, ages_us=[3 * S] * 30), SETTINGS)
    assert (state.mode, state.limit) == (Mode.TRIAL, 15)


def trial(*, before_ms: float, after_ms: float, after_s: float) -> State:
    """The step after a trial that began ``after_s`` ago: calls that started before it, and those that started since."""
    began_us = AT - int(after_s * S)
    earlier = ends(20, before_ms, until_us=began_us + int(before_ms * 900))
    return step(
        State(at_us=AT - S, mode=Mode.TRIAL, limit=10, set_us=began_us, normal_us=200_000.0),
        seen(sorted([*earlier, *ends(9, after_ms)]), in_flight=10),
        SETTINGS,
    )


def test_cutting_that_helped_makes_the_limit_follow_the_rate_that_was_measured() -> None:
    state = trial(before_ms=1600, after_ms=800, after_s=3)
    assert state.mode is Mode.FOLLOWING
    assert (round(state.before_us), round(state.after_us)) == (1_600_000, 800_000)
    assert state.limit == pytest.approx(8 * 0.8 * 0.8), "8 calls a second, within the threshold, with a margin"


def test_cutting_that_did_not_help_makes_the_limit_whole_until_the_next_trial() -> None:
    state = trial(before_ms=1600, after_ms=1500, after_s=4)
    assert (state.mode, state.allowed(SETTINGS)) == (Mode.NOT_OURS, 100)
    assert state.next_trial_us == AT + 60 * S

    slow = seen(ends(50, 1600, until_us=AT + 59 * S), at_us=AT + 59 * S)
    assert step(state, slow, SETTINGS).mode is Mode.NOT_OURS
    later = seen(ends(50, 1600, until_us=AT + 60 * S), at_us=AT + 60 * S)
    assert step(replace(state, slow_since_us=AT), later, SETTINGS).mode is Mode.TRIAL
    assert state.trial_every_us == 120 * S, "the one after it is twice as far away"


def test_a_trial_that_helped_a_little_is_followed_by_a_deeper_one() -> None:
    """Of a long queue, half as many calls are still too many to tell from."""
    queue = [(1600.0, 0.75, Mode.TRIAL), (1600.0, 0.85, Mode.NOT_OURS)]
    for before_ms, share, mode in queue:
        state = trial(before_ms=before_ms, after_ms=before_ms * share, after_s=4)
        assert (state.mode, state.limit) == (mode, 5.0 if mode is Mode.TRIAL else 10.0)


def test_a_trial_whose_watchers_are_gone_is_void() -> None:
    """Every worker was killed in it: the limit is whole at the first step of the next, whatever still holds a slot."""
    for seconds, mode in ((10, Mode.TRIAL), (11, Mode.WHOLE)):
        left = State(mode=Mode.TRIAL, limit=2.0, set_us=AT - 12 * S, at_us=AT - seconds * S, normal_us=200_000.0)
        state = step(left, seen([], in_flight=4, ages_us=[12 * S] * 4), SETTINGS)
        assert state.mode is mode


def test_slowness_that_doubles_is_put_to_the_test_before_its_time() -> None:
    state = replace(trial(before_ms=1600, after_ms=1500, after_s=4), slow_since_us=AT - 5 * S)
    assert step(state, seen(ends(50, 3100)), SETTINGS).mode is Mode.TRIAL


def following(limit: float, *, reference: float = 0.0, reference_us: float = 0.0) -> State:
    state = State(mode=Mode.FOLLOWING, limit=limit, set_us=AT - 5 * S, bound_us=AT, normal_us=200_000.0)
    return replace(state, peak=15.0, reference=reference, reference_us=reference_us)


@pytest.mark.parametrize(("latency_ms", "sign"), [(300, 1), (560, 0), (1200, -1)])
def test_a_limit_that_binds_follows_p95(latency_ms: float, sign: int) -> None:
    state = step(following(5.0), seen(ends(40, latency_ms), in_flight=5), SETTINGS)
    assert (state.limit > 5) - (state.limit < 5) == sign


def test_a_limit_is_judged_only_by_calls_that_started_under_it() -> None:
    started = replace(following(5.0), set_us=AT - S)
    assert step(started, seen(ends(40, 1200), in_flight=5), SETTINGS).limit == 5.0


def test_a_limit_that_does_not_bind_rises_to_what_the_unit_keeps_within_the_threshold() -> None:
    idle = replace(following(8.0), bound_us=AT - S)
    state = step(idle, seen(ends(40, 300, in_flight=2), in_flight=2), SETTINGS)
    assert state.limit == pytest.approx(8.4)
    assert step(replace(idle, limit=12.0), seen(ends(40, 300, in_flight=2), in_flight=2), SETTINGS).limit == 12.0


def test_a_cut_that_loses_throughput_and_no_latency_is_undone_and_the_limit_raised() -> None:
    lost = following(4.0, reference=8.0, reference_us=1_200_000.0)
    undone = step(lost, seen(ends(40, 1200), in_flight=4), SETTINGS)
    assert (undone.mode, undone.limit) == (Mode.RAISING, 8.0)

    undone = replace(undone, set_us=AT - 5 * S)
    raised = step(undone, seen(ends(40, 1200), in_flight=8), SETTINGS)
    assert raised.limit == pytest.approx(10.4)
    raised = replace(raised, set_us=AT - 5 * S)
    free = step(raised, seen(ends(40, 1200), in_flight=8), SETTINGS)
    assert free.mode is Mode.NOT_OURS, "it does not bind any more, and is as slow: not because of us"


@pytest.mark.parametrize(("before_ms", "held_s"), [(700, 30), (1200, None)])
def test_a_limit_that_raising_would_slow_is_held_unless_most_calls_are_slow_already(
    before_ms: float, held_s: int | None
) -> None:
    raised = replace(following(10.4, reference=8.0, reference_us=before_ms * 1000), mode=Mode.RAISING)
    back = step(raised, seen(ends(40, before_ms * 1.3, in_flight=10), in_flight=10), SETTINGS)
    assert (back.mode, back.limit) == (Mode.FOLLOWING, 8.0)
    assert back.held_until_us == (AT + held_s * S if held_s else 0)


def test_a_unit_that_became_slower_while_it_was_cut_is_cut_on() -> None:
    """Its latency of now, under the limit of before, is what the next cut has to improve."""
    first = step(following(20.0, reference=21.0, reference_us=450_000.0), seen(ends(40, 1500), in_flight=20), SETTINGS)
    assert (first.mode, first.reference_us) == (Mode.FOLLOWING, 1_500_000.0)
    later = replace(first, limit=12.0, set_us=AT - 5 * S)
    assert step(later, seen(ends(40, 1000), in_flight=12), SETTINGS).mode is Mode.FOLLOWING
    assert step(later, seen(ends(40, 1400), in_flight=12), SETTINGS).mode is Mode.RAISING


def test_a_limit_is_not_led_below_what_the_unit_needs_to_be_busy() -> None:
    """A unit whose calls take long by themselves reaches no target: fifteen a second of 0.2 s, with room, are 4.5."""
    state = following(5.0)
    for _ in range(3):
        state = replace(step(state, seen(ends(60, 1200, per_s=15), in_flight=5), SETTINGS), set_us=AT - 9 * S)
    assert state.limit == pytest.approx(4.6, abs=0.1)


def test_a_limit_far_from_binding_the_unit_rises_by_the_largest_step() -> None:
    assert step(following(5.0), seen(ends(40, 390), in_flight=5), SETTINGS).limit == pytest.approx(6.5)


def test_a_limit_of_one_on_a_unit_that_became_slow_by_itself_is_lifted_within_a_minute() -> None:
    """So few calls end that a limit which waited for many of them would stay for ever."""
    state, found, started = following(1.0), [], AT
    for at_us in range(AT, AT + 60 * S, S // 2):
        allowed = state.allowed(SETTINGS)
        if at_us - started >= 1.5 * S:
            found += [End(at_us, 1_500_000, False, allowed)] * allowed
            started = at_us
        state = step(state, seen(found, at_us=at_us, in_flight=allowed), SETTINGS)
        if state.allowed(SETTINGS) >= 6:  # as many as come
            return
    raise AssertionError(state)


def test_a_limit_that_has_not_bound_for_a_minute_is_lifted() -> None:
    state = replace(following(8.0), bound_us=AT - 61 * S)
    assert step(state, seen(ends(40, 300, in_flight=2), in_flight=2), SETTINGS).mode is Mode.WHOLE


def test_a_unit_that_runs_more_than_while_its_limit_bound_has_its_limit_lifted_after_ten_seconds() -> None:
    """In a lull, which a limit of bursts outlasts, it runs fewer."""
    for per_s, unbound_s, mode in ((15, 11, Mode.WHOLE), (15, 9, Mode.FOLLOWING), (11, 11, Mode.FOLLOWING)):
        state = replace(following(12.0), bound_us=AT - unbound_s * S, bound_rate=10.0)
        found = seen(ends(300, 300, per_s=per_s, in_flight=3), in_flight=3)
        assert step(state, found, SETTINGS).mode is mode


def test_the_rate_while_a_limit_binds_hardly_follows_the_seconds_of_a_recovery() -> None:
    state = trial(before_ms=1600, after_ms=800, after_s=3)
    assert state.bound_rate == state.rate
    state = replace(following(5.0), bound_rate=10.0)
    for _ in range(10):
        state = step(state, seen(ends(60, 300, per_s=20), in_flight=20), SETTINGS)
    assert 10 < state.bound_rate < 11.2


def test_a_unit_that_turns_calls_away_is_slow_however_fast_it_does_so() -> None:
    turned = [End(AT - n * 100_000, None, True, 5) for n in reversed(range(30))]
    assert step(slow_for(2.5), seen(turned), SETTINGS).mode is Mode.TRIAL
    assert step(following(10.0), seen(turned, in_flight=5), SETTINGS).limit == 8.0


@pytest.mark.parametrize("per_s", [10, 1000])
def test_the_rate_is_that_of_the_unit_however_few_ends_are_kept(per_s: float) -> None:
    state = step(CALM, seen(ends(500, 300, per_s=per_s)), SETTINGS)
    assert state.rate == pytest.approx(per_s, rel=0.01)


def test_the_limit_stays_within_its_bounds() -> None:
    narrow = LearningSettings(min_in_flight=4, max_in_flight=6)
    assert step(following(4.0), seen(ends(40, 1200), in_flight=4), narrow).allowed(narrow) == 4
    assert step(following(6.0), seen(ends(40, 300), in_flight=6), narrow).allowed(narrow) == 6
