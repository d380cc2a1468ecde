"""A stack of limits bound to a subject: the arguments of the deciding script, and how its response is read.

Everything here is pure. Keys and arguments of a stack are made once and packed once; a call adds five short arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple, cast

from limiter.core import keys, sharing, values
from limiter.core.algorithms import rules_of
from limiter.core.shape import Learned, LimitsThen, packed_limits, shape_of
from limiter.core.types import Decision, Limit, LimitState, Share, ShareState, Subject
from limiter.stores.pipeline import pack as pack_command

_DYNAMIC = 5
_DESCRIPTION, _LIMITS = 3, 4
_BEFORE_WINDOWS = 8
"""Keys of a stack that are not a limit's."""
_PAUSED, _WAITS, _WAITS_HELD, _ABOVE_PACE = -2, -3, -4, -5


class MultiplierScope(NamedTuple):
    """The calls whose latencies make one multiplier; ``action`` is None when all of the tenant's share it."""

    connection: int
    tenant: str
    action: str | None

    @property
    def name(self) -> str:
        """As the store calls it among those of its connection."""
        return f"{self.tenant}|{self.action or ''}"

    @classmethod
    def read(cls, connection: int, name: bytes) -> MultiplierScope:
        tenant, _, action = name.decode().partition("|")
        return cls(connection, tenant, action or None)


@dataclass(frozen=True, slots=True)
class Stack:
    """All limits of one kind of call. Build it with :func:`bind`.

    ``slots``: keys of the concurrency limits, to be released when the call has ended. ``default_ppm``: the multiplier
    in millionths when nothing is cut, None when the policy does not adapt. ``adapts_per``: the action whose latency
    counts, or None for the whole tenant. ``learned``: the limit among them that the connection learns, if any.
    ``reserves``: a refusal may hold a unit for the call that comes back. ``shares``: of what
    tenants share limits (:func:`limiter.core.sharing.kinds`).
    ``slot_accounts``: for each of ``slots`` whose share its calls use, "" if it is not shared.
    ``valued``: limits that count by a value. ``paced``: the caller's terms in the pace of its connection, where tenants
    share that.
    """

    subject: Subject
    limits: tuple[Limit, ...]
    default_ppm: int | None
    adapts_per: str | None
    keys: tuple[str, ...]
    arguments: tuple[str | bytes, ...]
    slots: tuple[str, ...]
    packed: bytes
    slot_key: bytes
    learned: Learned | None = None
    reserves: bool = False
    shares: int = 0
    slot_accounts: tuple[str, ...] = ()
    valued: int = 0
    paced: Share | None = None
    pace_terms: bytes = b""

    @property
    def holds_slots(self) -> bool:
        return bool(self.slots)

    @property
    def multiplier_scope(self) -> MultiplierScope:
        """The scope of the multiplier of these calls."""
        return MultiplierScope(self.subject.connection, self.subject.tenant, self.adapts_per)

    @property
    def described(self) -> str:
        """Its limits as an event carries them (:mod:`limiter.core.description`)."""
        return str(self.arguments[_DESCRIPTION])

    @property
    def windows(self) -> tuple[str, ...]:
        """The keys of its limits, in their order."""
        return self.keys[_BEFORE_WINDOWS : _BEFORE_WINDOWS + len(self.limits)]

    @property
    def pools(self) -> tuple[str, ...]:
        """The keys of the shares of its shared limits, in their order."""
        return tuple(keys.shares(limit, self.subject, limit.share) for limit in self.limits if limit.share)

    @property
    def slot_pools(self) -> tuple[str, ...]:
        """Those of its shared concurrency limits."""
        shared = (limit for limit in self.limits if limit.share)
        return tuple(k for k, limit in zip(self.pools, shared, strict=True) if rules_of(limit.algorithm).holds_slots)

    @property
    def packed_limits(self) -> bytes:
        """Its limits as the scripts unpack them, and behind them the change that is due."""
        return cast(bytes, self.arguments[_LIMITS])[values.length_of(self.valued) :]

    def window_of(self, limit: Limit) -> str:
        """The key of one of its limits."""
        return self.keys[_BEFORE_WINDOWS + self.limits.index(limit)]


class Call(NamedTuple):
    """What changes from call to call. ``cost`` in units; ``context`` goes into the event as it is.

    ``now_us`` replaces the store's clock; only tests hand it in. ``patience_us``: how long the call would wait instead
    of being refused, in microseconds, None for one that does not; ``waited``: it has waited already; ``late``: behind
    others, and no decision was made for it before. ``client`` and ``itself``: in whose names units are held (twenty
    hexadecimal digits, the first eight for its key). ``returned``: it was refused before, and comes at the time that
    was named.
    """

    decision_id: str
    cost: int = 1
    charge: bool = True
    context: str = ""
    now_us: int | None = None
    patience_us: int | None = None
    waited: bool = False
    client: str = ""
    itself: str = ""
    returned: bool = False
    late: bool = False

    @property
    def mode(self) -> str:
        """Whether it is charged, and how long it waits, as the script reads it."""
        if not self.charge:
            return "0"
        if self.patience_us is None and not self.waited and not self.client:
            return "2" if self.returned else "1"
        stage = self.waited + (2 if self.patience_us is None else 0) + 4 * self.returned + 8 * self.late
        return f"{self.patience_us or 0}|{stage}|{self.client}|{self.itself}"


def bind(
    limits: Sequence[Limit],
    *,
    subject: Subject,
    default_ppm: int | None = None,
    adapts_per: str | None = None,
    change: LimitsThen | None = None,
    learned: Learned | None = None,
    paced: Share | None = None,
) -> Stack:
    """Bind ``limits`` to ``subject``. Raises ValueError when two limits share a name.

    ``change``: a change known in advance, so that a refused call gets the true wait. ``learned``: one more limit, whose
    quota the store has learned, and is at most its own (:mod:`limiter.core.in_flight`). ``paced``: the subject's terms
    in a shared pace (:mod:`limiter.core.pacing`).
    """
    if learned is not None:
        limits = (*limits, learned.limit)
    shape = shape_of(tuple(limits), change, learned)
    c = subject.connection
    windows = tuple([keys.window(limit, subject) for limit in limits])
    names = (
        *(keys.multiplier(c, subject.tenant, adapts_per), *_of_connection(keys.tag(c), c), *windows),
        *(keys.shares_beside(limit, subject, limit.share) for limit in shape.shared if limit.share),
        *((keys.pace_shares(c),) if paced else ()),
        *(map(keys.appointments, windows) if shape.reserves else ()),
        *(key for limit in shape.valued for key in _of_values(limit, subject, reserves=shape.reserves)),
    )
    arguments = (
        *("" if default_ppm is None else str(default_ppm), subject.tenant, subject.action, shape.described),
        packed_limits(limits, subject, change=change, learned=learned) if shape.packed is None else shape.packed,
    )
    return Stack(
        subject=subject,
        limits=tuple(limits),
        default_ppm=default_ppm,
        adapts_per=adapts_per,
        keys=names,
        arguments=arguments,
        slots=tuple([windows[place] for place in shape.slots]),
        packed=_pack_static(names, arguments),
        slot_key=names[0].encode(),
        learned=learned,
        reserves=shape.reserves,
        shares=shape.shares | (sharing.WINDOWS if paced else 0),
        slot_accounts=tuple([sharing.name_of(limits[place], subject) for place in shape.slots]),
        valued=len(shape.valued),
        paced=paced,
        pace_terms=_packed_argument(sharing.packed_terms(paced, subject)) if paced else b"",
    )


@lru_cache(maxsize=1024)
def _of_connection(tag: str, c: int) -> tuple[str, ...]:
    """The keys that all stacks of a connection have; ``tag`` has the deployment's prefix."""
    return (
        *(keys.events(c), keys.usage(c), keys.totals(c), keys.floods(c)),
        *(keys.pause(c), keys.in_flight(c), keys.pace(c)),
    )


def _of_values(limit: Limit, subject: Subject, *, reserves: bool) -> Iterator[str]:
    """The keys behind those of the limits, for one that counts by a value."""
    together = keys.others(limit, subject)
    yield keys.values(limit, subject)
    yield together
    if reserves:
        yield keys.appointments(together)


def _packed_argument(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


def _pack_static(names: Sequence[str], arguments: Sequence[str | bytes]) -> bytes:
    """The part of the command after the script that is the same for every call, without the array's header."""
    packed = pack_command(len(names), *names, *arguments)
    return packed[packed.index(b"\r\n") + 2 :]


def pack(stack: Stack, call: Call, *, verb: bytes, script: bytes, due_us: int | None = None) -> bytes:
    """The whole command: ``verb`` EVALSHA with a digest, or EVAL with the source. The store's own wire format.

    ``due_us``: by the store's clock; after it nothing is to be decided.
    """
    now = "" if due_us is None else f"-{due_us}"
    if call.now_us is not None:
        now = str(call.now_us)
    cost, mode, decision, context = str(call.cost), call.mode, call.decision_id, call.context.encode()
    own = (
        f"${len(now)}\r\n{now}\r\n${len(cost)}\r\n{cost}\r\n${len(mode)}\r\n{mode}\r\n"
        f"${len(decision)}\r\n{decision}\r\n${len(context)}\r\n"
    )
    front = _front(3 + len(stack.keys) + len(stack.arguments) + _DYNAMIC + bool(stack.pace_terms), verb, script)
    return b"".join((front, stack.packed, own.encode("ascii"), context, b"\r\n", stack.pace_terms))


@lru_cache(16)
def _front(count: int, verb: bytes, script: bytes) -> bytes:
    """How a command of so many parts begins."""
    return b"*%d\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (count, len(verb), verb, len(script), script)


def read(stack: Stack, call: Call, reply: list[Any]) -> Decision:
    """The script's answer as a :class:`Decision`."""
    limits, above = stack.limits, 0
    if stack.valued and (above := reply.pop()):
        limits = values.overflowed(limits, above)
    decision = _decision(stack, call, reply, limits)
    return decision._replace(overflowed=True) if above else decision


def _decision(stack: Stack, call: Call, reply: list[Any], limits: Sequence[Limit]) -> Decision:
    now, ppm, admitted = reply[0], reply[1], reply[2]
    states = tuple(map(_state, zip(limits, reply[3::4], reply[4::4], reply[5::4], reply[6::4], strict=False)))
    if admitted in (_WAITS, _WAITS_HELD):
        return _waiting(call, reply, states)
    paused_us = reply[6 + 4 * len(limits)] if admitted in (_PAUSED, _ABOVE_PACE) else 0
    return Decision(
        allowed=admitted == 1,
        decision_id=call.decision_id,
        at_us=now,
        cost=call.cost,
        multiplier_ppm=ppm,
        states=states,
        retry_after_us=retry_after(states) if admitted == 0 else paused_us,
        leases=stack.slots if admitted == 1 and call.charge else (),
        paused_us=paused_us,
        above_pace=admitted == _ABOVE_PACE,
        shares=_shares(stack, reply, above_pace=admitted == _ABOVE_PACE)
        if stack.shares and (admitted in (0, _ABOVE_PACE) or not call.charge)
        else (),
    )


def _shares(stack: Stack, reply: list[Any], *, above_pace: bool) -> tuple[ShareState, ...]:
    """Behind the states; of a call above the pace, in whose states the upstream has one, that of the pace alone."""
    numbers = reply[3 + 4 * (len(stack.limits) + above_pace) :]
    if above_pace:
        return sharing.of_pace(stack.paced, numbers)
    of_limits = sharing.read(stack.limits, numbers)
    return of_limits + sharing.of_pace(stack.paced, numbers[sharing.NUMBERS_OF_STATE * len(of_limits) :])


_state: Callable[[Iterable[Any]], LimitState] = partial(cast(Any, tuple.__new__), LimitState)
"""As ``LimitState._make``, without a frame of Python for each limit."""


def _waiting(call: Call, reply: list[Any], states: tuple[LimitState, ...]) -> Decision:
    """Refused for now, and recorded nowhere: the call comes again after its wait, which is the last of the reply."""
    decision = Decision(False, call.decision_id, reply[0], call.cost, reply[1], states, reply[-1], waits=True)
    if reply[2] == _WAITS_HELD:
        return decision._replace(held=True)
    return decision if decision.violated else decision._replace(paused_us=reply[-1])


def retry_after(states: Sequence[LimitState]) -> int | None:
    """The latest of the waits of the enforced limits that refuse, in microseconds; None when no wait can help."""
    waits = [state.wait_us for state in states if state.wait_us and not state.limit.shadow]
    return None if -1 in waits else max(waits, default=0)


def came_too_late(reply: list[Any]) -> bool:
    """The script did nothing: the instant given to :func:`pack` had passed."""
    return bool(reply[2] == -1)
