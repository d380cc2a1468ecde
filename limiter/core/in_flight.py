"""The learned limit of calls in flight to a connection: kept in the store, one for all workers and tenants.

The rule is :mod:`limiter.core.learning`. A worker hands in how calls ended; when a step is due, at most every half
second for all workers, the one that hears of it takes the step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from limiter.core import keys, learning
from limiter.core.learning import End, LearningSettings, Mode, Seen, State
from limiter.core.store import EndedCall, Store
from limiter.core.types import CountedPer, Limit, Subject
from limiter.core.versioned import Form, filled
from limiter.stores.pipeline import Reply
from limiter.stores.scripts import Script

IN_FLIGHT = "(in flight)"
"""The name of the limit, which no limit of a policy can have."""
MAX_IN_FLIGHT = 10_000
_KEPT_MS = 900_000
"""A unit that nobody has called for so long is unknown again."""
LEARN, LEARNED = Script(__file__, "learn"), Script(__file__, "learned")


def limit(settings: LearningSettings, *, lease_us: int) -> Limit:
    """The limit while it is whole; see :func:`limiter.core.window.bind`."""
    return Limit(
        name=IN_FLIGHT,
        algorithm="concurrency",
        quota=settings.max_in_flight,
        lease_us=lease_us,
        counted_per=CountedPer.CONNECTION,
        adaptive=False,
    )


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
    store: Store,
    connection: int,
    ends: Sequence[EndedCall],
    settings: LearningSettings,
    *,
    lease_us: int,
    now_us: int | None = None,
) -> State | None:
    """Keep how these calls ended, after :meth:`Store.record` has freed their slots, and take a step if one is due.

    The new state, None when no step was due. Raises :class:`~limiter.stores.errors.StoreError`.
    """
    nobody = Subject(connection, tenant="", action="", key="")
    leases = keys.window(limit(settings, lease_us=lease_us), nobody)
    names = (keys.in_flight(connection), keys.in_flight_ends(connection), keys.in_flight_due(connection), leases)
    sampled = [end for end in ends if end.latency_us is not None or end.pushback]
    reply = await store.run(
        LEARN,
        names,
        *("" if now_us is None else now_us, learning.EVERY_MS * 1000, learning.KEPT_ENDS, learning.kept_us(settings)),
        *(lease_us, learning.KEPT_AGES),
        *(part for end in sampled for part in ("" if end.latency_us is None else end.latency_us, int(end.pushback))),
    )
    if reply is None:
        return None
    before, seen = _seen(reply, settings)
    after = learning.step(before, seen, settings)
    kept = await store.run(LEARNED, names[:1], before.steps, FORM.marked(write(after, settings)), _KEPT_MS)
    return after if kept == 1 else None


def _seen(reply: Sequence[Reply], settings: LearningSettings) -> tuple[State, Seen]:
    now_us, text, in_flight, ages, *rest = reply
    state = (FORM.text_or_none(text.decode("utf-8", "backslashreplace")) if text else None) or State()
    since_us = now_us - learning.kept_us(settings)
    ends = [end for end in map(_end, rest[ages:]) if end.at_us > since_us]
    return state, Seen(now_us, in_flight, rest[:ages], ends)


def _end(item: bytes) -> End:
    at, latency, pushed_back, in_flight, *_ = item.split(b":", 4)
    return End(int(at), int(latency) if latency else None, pushed_back == b"1", int(in_flight))


async def read(store: Store, connection: int) -> State | None:
    """The state that decisions are made by; None when nothing was learned yet, or the store is unavailable."""
    name = keys.in_flight(connection)
    found = await store.command("GET", name, key=name)
    return FORM.text_or_none(found.decode("utf-8", "backslashreplace")) if found else None
