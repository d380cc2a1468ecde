"""The learned limit of calls in flight to a connection: kept in the store, one for all workers and tenants.

The rule is :mod:`limiter.core.learning`. A worker hands in how calls ended; when a step is due, at most every half
second for all workers, the one that hears of it takes the step.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from limiter.core import keys, learning
from limiter.core.algorithms import rules_of
from limiter.core.ends import KEPT_AGES, KEPT_ENDS, End, LearningSettings, Seen, kept_us
from limiter.core.learned import Mode, State
from limiter.core.shape import Learned
from limiter.core.store import EndedCall, Store
from limiter.core.types import MICROS, CountedPer, Limit, Share, Subject
from limiter.core.versioned import Form, filled
from limiter.stores.pipeline import Reply
from limiter.stores.scripts import Script

IN_FLIGHT = "(in flight)"
"""The name of the limit, which no limit of a policy can have."""
CARRIER = "(in flight per tenant)"
"""The limit that carries a policy's cut in place of its windows (:mod:`limiter.policies.compiled`)."""
_STEP = re.compile(rb"\d+\|(\d+)\|")
_KEPT_MS = 900_000
"""A unit that nobody has called for so long is unknown again."""
LEARN, LEARNED = Script(__file__, "learn"), Script(__file__, "learned")


def learned(settings: LearningSettings, share: Share | None = None) -> Learned:
    """The limit while it is whole, for :func:`limiter.core.window.bind`.

    ``share``: the caller's terms, where tenants share it; None: first come, first served.
    """
    whole = Limit(
        name=IN_FLIGHT,
        algorithm="concurrency",
        quota=settings.max_in_flight,
        lease_us=settings.lease_us,
        counted_per=CountedPer.CONNECTION,
        adaptive=False,
    )
    if share is not None:
        over_us = rules_of(whole.algorithm).shared_over_us(whole)
        whole = dataclasses.replace(whole, share=dataclasses.replace(share, over_us=over_us))
    return Learned(whole, settings)


def write(state: State, settings: LearningSettings) -> str:
    """``<calls in flight>|<step>|<state as JSON>``. ``decide.lua`` reads the first part, ``learned.lua`` the second."""
    return f"{state.allowed(settings)}|{state.steps}|{_STATE.dump(dataclasses.asdict(state))}"


def _state(data: Mapping[str, Any]) -> State:
    known = filled(data, _FRESH)
    return State(**{**known, "mode": Mode(known["mode"])})


_FRESH = {**dataclasses.asdict(State()), "mode": str(Mode.WHOLE)}
_STATE = Form("state of a learned limit", {1: _state}, lenient=True)
FORM = Form("learned limit", {1: lambda text: _STATE.load(text.split("|", 2)[2])})


async def heard(
    store: Store, connection: int, ends: Sequence[EndedCall], settings: LearningSettings, *, now_us: int | None = None
) -> State | None:
    """Keep how these calls ended, after :meth:`Store.record` has freed their slots, and take a step if one is due.

    The new state, None when no step was due. Raises :class:`~limiter.stores.errors.StoreError`.
    """
    sampled = [end for end in ends if end.latency_us is not None or end.pushback]
    reply = await store.run(
        LEARN,
        _keys(connection, settings),
        *("" if now_us is None else now_us, learning.EVERY_MS * 1000, KEPT_ENDS, kept_us(settings)),
        *(settings.lease_us, KEPT_AGES),
        *(part for end in sampled for part in ("" if end.latency_us is None else end.latency_us, int(end.pushback))),
    )
    if reply is None:
        return None
    before, seen = _seen(reply, settings)
    after = learning.step(before, seen, settings)
    name = keys.in_flight(connection)
    kept = await store.run(LEARNED, [name], before.steps, FORM.marked(write(after, settings)), _KEPT_MS)
    return after if kept == 1 else None


def _keys(connection: int, settings: LearningSettings) -> tuple[str, ...]:
    leases = keys.window(learned(settings).limit, Subject(connection, tenant="", action="", key=""))
    return keys.in_flight(connection), keys.in_flight_ends(connection), keys.in_flight_due(connection), leases


def _seen(reply: Sequence[Reply], settings: LearningSettings) -> tuple[State, Seen]:
    now_us, raw, in_flight, ages, *rest = reply
    step = _STEP.match(raw)
    since_us = now_us - kept_us(settings)
    ends = [end for end in map(_end, rest[ages:]) if end.at_us > since_us]
    state = state_or_none(raw) or State()
    # The number that the script compares, even where the state is not understood.
    return dataclasses.replace(state, steps=int(step[1]) if step else 0), Seen(now_us, in_flight, rest[:ages], ends)


def _end(item: bytes) -> End:
    at, latency, pushed_back, in_flight, *_ = item.split(b":", 4)
    return End(int(at), int(latency) if latency else None, pushed_back == b"1", int(in_flight))


async def read(store: Store, connection: int) -> State | None:
    """The state that decisions are made by; None when nothing was learned yet, or the store is unavailable."""
    name = keys.in_flight(connection)
    return state_or_none(await store.command("GET", name, key=name))


def state_or_none(raw: bytes | str | None) -> State | None:
    """Of the store's value; None for none, and for one that is not understood."""
    return FORM.text_or_none(raw) if raw else None


def allowed_or_none(raw: bytes | str | None) -> int | None:
    """How many calls the store's value lets be in flight, as ``decide.lua`` reads it; None for no such number."""
    text = raw.decode(errors="replace") if isinstance(raw, bytes) else raw or ""
    number = text.partition("|")[0]
    return int(number) if number.isdecimal() else None


def facts(state: State) -> dict[str, Any]:
    """The figures that a sentence about a learned limit is made of; times are epoch seconds.

    ``allowed`` None: the limit is whole.
    """
    limited = state.mode not in (Mode.WHOLE, Mode.NOT_OURS)
    return {
        "mode": str(state.mode),
        "rate": round(state.rate, 1),
        "allowed": max(1, int(state.limit)) if limited else None,
        "in_flight": state.in_flight,
        "p95_s": round(state.p95_us / MICROS, 1),
        "before_s": round(state.before_us / MICROS, 1),
        "after_s": round(state.after_us / MICROS, 1),
        "next_trial": state.next_trial_us // MICROS,
        "at": state.at_us // MICROS,
    }
