"""How many calls a unit bears in flight, learned from its latency and from what fewer of them do to it. All pure.

A limit helps only where latency comes from the calls in flight, and latency alone does not show whether it does. So a
unit that is slow is put to the test: half as many calls are let in flight. If those that start then are faster by 30 %,
the limit follows p95 from there on, by its distance from the threshold. If they are not, the limit is whole again, and
the next trial is later. A limit that follows asks the same whenever it has lost 40 % and p95 is still above.

docs/adaptive.md explains it to people, docs/control.md compares it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from limiter.core.ends import (
    LATELY_US,
    MIN_ENDS,
    PUSHED_BACK,
    End,
    LearningSettings,
    Quantiles,
    S,
    Seen,
    View,
    lately_of,
    median_before,
    quantiles,
)
from limiter.core.learned import HOLD_US, STEP_US, Mode, State

EVERY_MS = STEP_US // 1000
"""Between two steps."""

_SLOW_FOR_US = 2_500_000  # before a trial
_TRIAL_ENDS = 8
_HELPED = 0.7  # a trial did when the median falls to this share
_UNWATCHED_US = 10 * S  # a trial that no step was taken in for so long is void
_UNCLEAR = 0.8  # a trial that did less, but this, is followed by a deeper one
_FIRST = 0.8  # the first limit after a trial, of what the measured rate keeps in flight within the threshold
_FRESH = 12  # ends of calls that started under a limit, to judge it by
_JUDGED = 80  # the newest of them
_FEW_FRESH, _LONG_US = 4, 6 * S  # so few have to do after so long: a small limit on a slow unit ends few
_TARGET, _GAIN = 0.7, 0.35  # p95 is led to this share of the threshold, by this power of its distance
_FAR = 0.5  # up to this share of the threshold it is far below: the limit rises by the largest step
_UP, _DOWN, _IDLE_UP, _FEW_SLOW_UP = 1.3, 0.8, 1.05, 1.1  # factors of one step
_ROOM, _STALE = 1.5, 0.97  # times the normal median; a best rate out of reach while slow fades by this factor
_BOUND = 0.05  # share of ends that found the limit reached: it binds
_SAME, _LOST, _LOST_HELPED = 0.75, 0.6, 0.85  # a limit that lost so much has to have brought the median to this share
_RAISED, _RISE, _RAISE_ENDS = 1.3, 1.15, 15  # a limit raised by this costs so much more latency if it is ours
_MAX_HOLD_US = 240 * S  # how long, from HOLD_US on, a limit is not cut again that only lost throughput by it
_WORSE = 1.4  # times the latency that it was held at
_UNBOUND_US = 60 * S  # a limit that does not bind for so long is lifted
_REGAINED_US, _MORE = 10 * S, 1.2  # or for so long, if as many times the calls run as while it bound: the unit is back
_BOUND_RATE = 0.01  # of one step in the mean of the rate while it binds, so that a recovery hardly moves it
_CALM_US = 10 * S  # without slowness, and "not ours" is over
_MAX_TRIAL_EVERY_US = 900 * S


def step(state: State, seen: Seen, settings: LearningSettings) -> State:
    """The state from now on."""
    view = View(seen, lately_of(seen, settings), settings)
    slow = view.lately.above(settings)
    if state.mode is Mode.TRIAL and seen.now_us - state.at_us > _UNWATCHED_US:
        state = replace(state, mode=Mode.WHOLE)  # those who began it are gone, and with them most calls of before
    state = replace(
        state,
        steps=state.steps + 1,
        at_us=seen.now_us,
        slow_since_us=(state.slow_since_us or seen.now_us) if slow else 0,
        rate=view.rate(LATELY_US),
        p95_us=view.lately.p95_us,
        in_flight=seen.in_flight,
    )
    if state.mode in (Mode.TRIAL, Mode.FOLLOWING) and state.drains(settings):
        state = replace(state, set_us=seen.now_us)  # calls that start meanwhile show nothing about the limit
    return _BY_MODE[state.mode](state, view)


def _watch(state: State, view: View) -> State:
    """The limit is whole."""
    if not state.slow_since_us:
        if state.mode is Mode.NOT_OURS:
            calm = view.now_us - state.set_us > _CALM_US
            return replace(state, mode=Mode.WHOLE, set_us=view.now_us) if calm else state
        return replace(state, normal_us=_normal(state, view.lately))
    if state.mode is Mode.NOT_OURS:
        state = replace(state, set_us=view.now_us)
        if view.now_us < state.next_trial_us and view.lately.median_us <= 2 * state.after_us:
            return state
    long_enough = view.now_us - state.slow_since_us >= _SLOW_FOR_US
    if not long_enough or not view.lately.suspicious(state.normal_us):
        return state
    if view.seen.in_flight <= max(view.settings.min_in_flight + 1, _borne(state.rate, view)):
        return state  # no more than a trial that helped would allow
    if view.lately.pushed_back <= PUSHED_BACK and view.seen.in_flight < view.in_flight_before():
        return state  # the queue works itself off; one that is full is as long as it can be
    return replace(state, mode=Mode.TRIAL, limit=view.seen.in_flight / 2, set_us=view.now_us, began_us=view.now_us)


def _normal(state: State, found: Quantiles) -> float:
    """The median while all is well, slowly followed."""
    if found.number < MIN_ENDS:
        return state.normal_us
    return state.normal_us + (found.median_us - state.normal_us) * 0.02 if state.normal_us else found.median_us


def _try(state: State, view: View) -> State:
    """Half as many are let in flight: are calls that start now faster than the last that started before?"""
    fresh = view.started_since(state.set_us)
    before_us = median_before(view.seen.ends, state.began_us or state.set_us)
    waited_us = view.now_us - state.set_us
    if len(fresh) >= _TRIAL_ENDS:
        after_us = quantiles(fresh).median_us
        state = replace(state, before_us=before_us, after_us=after_us)
        if after_us <= _HELPED * before_us:
            return _follow_first(state, view, waited_us)
        if waited_us > 1.5 * before_us or len(fresh) > 2 * _TRIAL_ENDS:
            if after_us <= _UNCLEAR * before_us and state.limit > _borne(state.rate, view):
                return replace(state, limit=state.limit / 2, set_us=view.now_us, began_us=view.now_us)
            return _not_ours(state, view)
    answers = any(end.at_us > state.set_us for end in view.seen.ends)
    if answers and waited_us > max(4 * before_us, 5 * S):
        return _not_ours(replace(state, before_us=before_us, after_us=before_us), view)
    return state


def _borne(rate: float, view: View) -> float:
    """What this rate keeps in flight within the threshold, with a margin."""
    return rate * view.settings.threshold_us / S * _FIRST


def _follow_first(state: State, view: View, waited_us: int) -> State:
    rate = view.rate(max(S, min(LATELY_US, waited_us)))
    limit = min(state.limit, _borne(rate, view))
    return replace(
        state,
        mode=Mode.FOLLOWING,
        limit=max(float(view.settings.min_in_flight), limit),
        set_us=view.now_us,
        bound_us=view.now_us,
        trial_every_us=0,
        reference=0.0,
        held_until_us=0,
        peak=rate,
        bound_rate=rate,
    )


def _not_ours(state: State, view: View) -> State:
    every_us = state.trial_every_us or view.settings.trial_every_us
    return replace(
        state,
        mode=Mode.NOT_OURS,
        set_us=view.now_us,
        next_trial_us=view.now_us + every_us,
        trial_every_us=min(_MAX_TRIAL_EVERY_US, 2 * every_us),
    )


def _follow(state: State, view: View) -> State:
    """The limit is led by the p95 of calls that started under it."""
    binds = _binds(state, view)
    state = replace(state, peak=max(state.rate, state.peak * 0.999))
    if binds:
        bound_rate = state.bound_rate + (state.rate - state.bound_rate) * _BOUND_RATE
        state = replace(state, bound_us=view.now_us, bound_rate=bound_rate)
    elif _regained(state, view):
        return replace(state, mode=Mode.WHOLE)
    fresh = view.started_since(state.set_us)[-_JUDGED:]
    if not _enough(fresh, _FRESH, state, view):
        return _turned_away(state, view)
    found = quantiles(fresh)
    if found.p95_us <= view.settings.threshold_us and found.pushed_back <= PUSHED_BACK:
        return _while_well(state, view, found, binds)
    if not found.suspicious(state.normal_us):
        return _limited(state, view, state.limit * _FEW_SLOW_UP) if binds else state
    if view.now_us < state.held_until_us and found.median_us < _WORSE * state.held_us:
        return state
    return _while_slow(state, view, found)


def _regained(state: State, view: View) -> bool:
    """Whether the unit no longer needs the limit. In a lull it runs no more calls than while the limit bound."""
    unbound_us = view.now_us - state.bound_us
    if unbound_us <= _REGAINED_US:
        return False
    return unbound_us > _UNBOUND_US or view.rate(_REGAINED_US) > _MORE * state.bound_rate > 0


def _enough(fresh: Sequence[End], wanted: int, state: State, view: View) -> bool:
    """Whether so many ends under a limit, or the fewer of a long time, are enough to judge it by."""
    return len(fresh) >= wanted or (len(fresh) >= _FEW_FRESH and view.now_us - state.set_us > _LONG_US)


def _turned_away(state: State, view: View) -> State:
    """A unit that turns calls away leaves few latencies to go by."""
    since = [end for end in view.seen.ends if end.at_us > state.set_us]
    if len(since) < _FRESH or sum(end.pushed_back for end in since) <= PUSHED_BACK * len(since):
        return state
    return _limited(state, view, state.limit * _DOWN)


def _binds(state: State, view: View) -> bool:
    limit = state.allowed(view.settings)
    lately = [end for end in view.seen.ends if end.at_us > view.now_us - LATELY_US]
    found_full = sum(end.in_flight >= limit for end in lately)
    return view.seen.in_flight >= limit or (bool(lately) and found_full >= _BOUND * len(lately))


def _while_well(state: State, view: View, found: Quantiles, binds: bool) -> State:
    near = state.limit >= _SAME * state.reference
    state = replace(
        state,
        reference=0.0 if near else (state.reference + state.limit) / 2,
        hold_for_us=state.hold_for_us if state.held_until_us else HOLD_US,
    )
    if not binds:
        # As many as it keeps in flight within the threshold, should they come.
        most = state.peak * view.settings.threshold_us / S
        state = replace(state, normal_us=_normal(state, found))
        return _limited(state, view, max(state.limit, min(state.limit * _IDLE_UP, most)))
    factor = _factor(found, view.settings)
    held = view.now_us < state.held_until_us and found.median_us < _WORSE * state.held_us
    if factor < 1 and (held or not found.suspicious(state.normal_us)):
        return state
    return _limited(state, view, max(state.limit * factor, min(state.limit, _floor(state, view))))


def _factor(found: Quantiles, settings: LearningSettings) -> float:
    if found.p95_us <= _FAR * settings.threshold_us:
        return _UP
    ratio = float((_TARGET * settings.threshold_us / max(1.0, found.p95_us)) ** _GAIN)
    return max(_DOWN, min(_UP, ratio))


def _while_slow(state: State, view: View, found: Quantiles) -> State:
    """Cut further, and look whether that helps: the limit of before is the reference."""
    turned_away = found.pushed_back > PUSHED_BACK
    if not state.reference:
        state = replace(state, reference=state.limit, reference_us=found.median_us)
    elif state.limit <= max(_LOST * state.reference, view.settings.min_in_flight + 1):
        helped = min(_LOST_HELPED, (state.limit / state.reference) ** 0.5)
        if found.median_us > helped * state.reference_us and not turned_away:
            return replace(state, mode=Mode.RAISING, limit=state.reference, reference_us=0.0, set_us=view.now_us)
        state = replace(state, reference=state.limit, reference_us=found.median_us)
    elif state.limit > _SAME * state.reference:  # the unit has become slower since, so that cuts look useless
        state = replace(state, reference_us=max(state.reference_us, found.median_us))
    if turned_away:
        return _limited(state, view, state.limit * _DOWN)
    led = state.limit * _factor(found, view.settings)
    if led < _floor(state, view):
        state = replace(state, peak=max(state.rate, state.peak * _STALE))
    return _limited(state, view, max(led, min(state.limit, _floor(state, view))))


def _floor(state: State, view: View) -> float:
    """About what its best rate keeps in flight without a queue: fewer would leave servers without work."""
    return state.peak * min(_ROOM * state.normal_us, view.settings.threshold_us / 2) / S


def _raise(state: State, view: View) -> State:
    """Cutting did not help: raise the limit until that costs latency, or until it does not bind."""
    fresh = view.started_since(state.set_us)[-_JUDGED:]
    if not _enough(fresh, _RAISE_ENDS, state, view):
        return state
    found = quantiles(fresh)
    if state.reference_us and found.median_us >= _RISE * state.reference_us:
        state = replace(state, mode=Mode.FOLLOWING, limit=state.reference, set_us=view.now_us, reference=0.0)
        if state.reference_us > view.settings.threshold_us:
            return replace(state, held_until_us=0)  # most calls are slow: it is to be cut again, from here
        return replace(
            state,
            held_until_us=view.now_us + state.hold_for_us,
            held_us=state.reference_us,
            hold_for_us=min(_MAX_HOLD_US, 2 * state.hold_for_us),
        )
    if state.reference_us and not _binds(state, view):
        return _not_ours(replace(state, before_us=found.median_us, after_us=found.median_us), view)
    state = replace(state, reference=state.limit, reference_us=found.median_us, set_us=view.now_us)
    return replace(state, limit=max(state.limit * _RAISED, state.limit + 1))


def _limited(state: State, view: View, limit: float) -> State:
    """With this limit; a change that is less than one call does not count as one."""
    within = float(min(view.settings.max_in_flight, max(view.settings.min_in_flight, limit)))
    changed = int(within) != int(state.limit)
    return replace(state, limit=within, set_us=view.now_us if changed else state.set_us)


_BY_MODE: Mapping[Mode, Callable[[State, View], State]] = {
    Mode.WHOLE: _watch,
    Mode.NOT_OURS: _watch,
    Mode.TRIAL: _try,
    Mode.FOLLOWING: _follow,
    Mode.RAISING: _raise,
}
