"""The limiter's store: one script decides, one records, one sets the multiplier. Nothing here is sent twice.

The only repetition is after NOSCRIPT, which says that the script did not run.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import hiredis

from limiter.core import adaptive, deciding, forecast, keys, latency, window
from limiter.core.adaptive import AdaptiveSettings, Evidence
from limiter.core.algorithms import LUA, rules_of
from limiter.core.due import Due
from limiter.core.held import Holding
from limiter.core.peers import GONE_AFTER_S
from limiter.core.round_trips import RoundTrips
from limiter.core.types import PPM, Decision, Limit
from limiter.core.window import Call, MultiplierScope, Stack
from limiter.stores.away import is_unavailable
from limiter.stores.errors import ScriptFailed, StoreUnavailable
from limiter.stores.pipeline import Reply, pack
from limiter.stores.pool import Link, PoolStatus
from limiter.stores.scripts import Script

log = logging.getLogger(__name__)


OUTCOMES = ("answered", "upstream_error", "upstream_busy", "unreachable", "unknown", "not_sent", "checked")
"""How an admitted call can end: answered below 500, answered above, refused upstream for load, no connection, no whole
answer, not sent (breaker, configuration), and decided only (``/check``).
"""
MAX_ENDS = 1_000
"""Calls in one :meth:`Store.record`: Lua's unpack holds a few thousand values."""

EVERY_MS = 400
"""Between two computations of a multiplier."""

MAX_TAKEN_OVER = 500
"""Events, and counts, in one :meth:`Store.take_over`."""

_PACKED = frozenset({str, bytes, int})
"""Types that hiredis packs itself; not their subclasses, such as numbers of numpy."""

ASSESSING = Script(__file__, "assessing").as_local("assessing")
RECORD, ASSESS = (Script(__file__, name, before=ASSESSING) for name in ("record", "assess"))
UNASSESSED, ADAPT, ALONE, ALIVE = (Script(__file__, name) for name in ("unassessed", "adapt", "alone", "alive"))
HELD = Script(__file__, "held", before=LUA)


class DecidedAlone(NamedTuple):
    """A part of what one worker decided without the store. ``name``: sent again under it, it is taken over once.

    ``events``: texts of refusals (:mod:`limiter.core.refusal`). ``counts``: ``<minute>|<tenant>|<action>|<counter>`` ->
    count. ``lost``: refusals it could not keep, made between ``from_us`` and ``until_us`` (microseconds).
    """

    name: str
    events: tuple[str, ...]
    counts: Mapping[str, int]
    lost: int = 0
    from_us: int = 0
    until_us: int = 0


class EndedCall(NamedTuple):
    """How an admitted call ended. ``outcome``: the name it is counted under, see :data:`OUTCOMES`.

    ``latency_us``: None when the upstream was not heard, which is no latency sample.
    """

    lease: str
    outcome: str
    latency_us: int | None = None
    pushback: bool = False

    def parts(self, *, pushback_counts: bool) -> tuple[str, str, str, str, str]:
        """The script's five arguments for one call."""
        if self.latency_us is None:
            return self.lease, self.outcome, "", "", "1" if self.pushback and pushback_counts else "0"
        bucket = str(latency.bucket(self.latency_us))
        return self.lease, self.outcome, str(self.latency_us), bucket, "1" if self.pushback else "0"


class Recorded(NamedTuple):
    """The result of recording ends: the evidence that was computed, or in how many ms it is due; or neither."""

    evidence: Evidence | None = None
    assess_in_ms: int | None = None


class Store:
    """Decisions over a :class:`~limiter.stores.pool.Link`. One per worker and event loop.

    ``give_up_ms``: after how long the link gives a command up. One that runs later does nothing; 0: it does.
    """

    def __init__(self, link: Link, *, give_up_ms: int = 0) -> None:
        self.link = link
        self._due = Due(give_up_us=give_up_ms * 1000) if give_up_ms else None
        self.round_trips = RoundTrips()

    async def open(self) -> None:
        await self.link.open()

    async def close(self) -> None:
        await self.link.close()

    def status(self) -> PoolStatus:
        return self.link.status()

    async def decide(self, stack: Stack, call: Call) -> Decision:
        """Decide one call in one round trip. Raises :class:`~limiter.stores.errors.StoreError`; after
        :class:`~limiter.stores.errors.StoreOutcomeUnknown` the call may have been charged.
        """
        started = time.perf_counter()
        connection, due_us = stack.subject.connection, None
        if self._due is not None:
            due_us = self._due.at(connection, int(started * 1_000_000))
        script = deciding.script_of(stack)
        packed = window.pack(stack, call, verb=b"EVALSHA", script=script.digest, due_us=due_us)
        reply = await self.link.send(packed, key=stack.slot_key)
        if isinstance(reply, hiredis.ReplyError) and _is_noscript(reply):
            packed = window.pack(stack, call, verb=b"EVAL", script=script.source, due_us=due_us)
            reply = await self.link.send(packed, key=stack.slot_key)
        ended = time.perf_counter()
        self.round_trips.observe(ended - started)
        data = _checked(reply, script)
        if self._due is not None and call.now_us is None:
            self._due.heard(connection, data[0], int(ended * 1_000_000))
        if window.came_too_late(data):
            raise StoreUnavailable("the store came to the call too late and did nothing")
        return window.read(stack, call, data)

    async def record(
        self,
        stack: Stack,
        ends: Sequence[EndedCall],
        *,
        settings: AdaptiveSettings | None,
        every_ms: int = EVERY_MS,
        now_us: int | None = None,
    ) -> Recorded:
        """Free the slots of calls that have ended, count their outcomes and keep their latencies, in one round trip.

        When the multiplier is due, at most once in ``every_ms`` for all workers, this computes and stores it. At most
        :data:`MAX_ENDS` calls at once.
        """
        if not ends:
            return Recorded()
        subject = stack.subject
        c, tenant, per = subject.connection, subject.tenant, stack.adapts_per
        names = (keys.samples(c, tenant, per), keys.usage(c), keys.totals(c), keys.due(c, tenant, per))
        shape = settings or AdaptiveSettings()
        reply = await self.run(
            RECORD,
            (
                *names,
                keys.unassessed(c),
                keys.assessed_by(c),
                keys.overdue(c, tenant, per),
                *stack.slots,
                *stack.slot_pools,
            ),
            *("" if now_us is None else now_us, tenant, subject.action, shape.sample_size),
            *(shape.sample_max_age_seconds * 1_000_000, every_ms if settings else 0),
            *(f"{tenant}|{per or ''}", adaptive.written(settings) if settings else ""),
            "".join(f"{account}\n" for account in stack.slot_accounts),
            *chain.from_iterable([ended.parts(pushback_counts=shape.cut_on_pushback) for ended in ends]),
        )
        if settings is None or reply is None:
            return Recorded()
        return await self.adapt_if_due(reply, stack.multiplier_scope, settings, now_us=now_us)

    async def adapt_if_due(
        self, reply: Reply, scope: MultiplierScope, settings: AdaptiveSettings, *, now_us: int | None
    ) -> Recorded:
        """The reply of a script after which a multiplier may be due (``assessing.lua``), which is then computed."""
        if isinstance(reply, int):
            return Recorded(assess_in_ms=reply)
        return Recorded(await self._adapt(scope, reply[1:], settings, count=reply[0], now_us=now_us))

    async def unassessed(self, connection: int, *, most: int, now_us: int | None = None) -> list[MultiplierScope]:
        """Scopes of multipliers that are due: their last calls have ended, and nobody has computed them since."""
        now = "" if now_us is None else now_us
        found = await self.run(UNASSESSED, [keys.unassessed(connection)], now, most)
        return [MultiplierScope.read(connection, name) for name in found]

    async def assess(
        self, scope: MultiplierScope, *, every_ms: int = EVERY_MS, now_us: int | None = None
    ) -> Evidence | None:
        """Compute and store a multiplier that is due; None when it is not, or another worker is at it."""
        c, tenant, per = scope
        names = (keys.samples(c, tenant, per), keys.due(c, tenant, per), keys.unassessed(c), keys.assessed_by(c))
        reply = await self.run(
            ASSESS, (*names, keys.overdue(c, tenant, per)), "" if now_us is None else now_us, scope.name, every_ms
        )
        if reply is None or (settings := adaptive.SETTINGS.load_or_none(reply[1])) is None:
            return None
        return await self._adapt(scope, reply[2:], settings, count=reply[0], now_us=now_us)

    async def _adapt(
        self,
        scope: MultiplierScope,
        samples: Sequence[bytes],
        settings: AdaptiveSettings,
        *,
        count: int,
        now_us: int | None,
    ) -> Evidence | None:
        """Compute the multiplier and make it the one that every worker's next decision uses."""
        if not (parsed := adaptive.parse(samples)):
            return None
        evidence = adaptive.assess(parsed, settings, now_us=parsed[-1].at_us)
        c, tenant, per = scope
        names = (keys.multiplier(c, tenant, per), keys.evidence(c), keys.multiplier_changes(c))
        await self.run(
            ADAPT,
            (*names, keys.unassessed(c), keys.assessed_by(c), keys.cut(c), keys.overdue(c, tenant, per)),
            *(tenant, per or "", evidence.multiplier_ppm, settings.default_ppm, evidence.fresh_for_us),
            *(evidence.p95_us, evidence.samples, settings.latency_threshold_ms * 1000, evidence.pushback_ppm),
            *("" if now_us is None else now_us, count),
        )
        return evidence

    async def evidence(self, stack: Stack) -> Evidence | None:
        """What the multiplier of these calls was last computed from; None when it never was."""
        name = keys.evidence(stack.subject.connection)
        field = f"{stack.subject.tenant}|{stack.adapts_per or ''}"
        shown = adaptive.shown_or_none(await self.command("HGET", name, field, key=name))
        return None if shown is None else shown.evidence()

    async def held(
        self, stack: Stack, limit: Limit, *, multiplier_ppm: int = PPM, now_us: int | None = None
    ) -> Holding:
        """What one limit of the stack holds, for a forecast; not for concurrency, which has none. Writes nothing.

        A hundred lookups in a list at most, whatever the limit: not for every call, but for every second.
        """
        reply = await self.run(
            HELD,
            [stack.window_of(limit)],
            *(rules_of(limit.algorithm).letter, limit.window_us, forecast.refill(limit, multiplier_ppm)),
            *("" if now_us is None else now_us, forecast.look_back_us(limit), forecast.POINTS),
        )
        return forecast.read(limit, reply)

    async def take_over(self, connection: int, part: DecidedAlone) -> bool:
        """Enter what a worker decided without the store; False when that had been done.

        Raises :class:`~limiter.stores.errors.StoreError`; then it may be sent again.
        """
        names = (keys.taken_over(connection, part.name), keys.events(connection))
        counts = [word for name, count in part.counts.items() for word in (name, count)]
        reply = await self.run(
            ALONE,
            (*names, keys.usage(connection), keys.totals(connection)),
            *(part.lost, part.from_us, part.until_us, len(part.counts), *counts, *part.events),
        )
        return bool(reply == 1)

    async def alive(self, process: str) -> None:
        """Note that this process lives, and forget those that do not."""
        await self.run(ALIVE, [keys.alive()], process, int(GONE_AFTER_S * 1_000_000))

    async def forget(self, stack: Stack, limit: Limit) -> None:
        """Delete what one limit of the stack has counted, at one instant; the multiplier and all else stay.

        Raises ValueError for concurrency: slots belong to running calls, and come back when these end.
        """
        if refusal := rules_of(limit.algorithm).no_reset:
            raise ValueError(refusal)
        name = stack.window_of(limit)
        shares = () if limit.share is None else (keys.shares(limit, stack.subject, limit.share),)
        await self.command("UNLINK", name, *shares, key=name)

    async def run(self, script: Script, names: Iterable[str], *arguments: str | int | bytes) -> Reply:
        """Run a script on keys of one slot; raises :class:`~limiter.stores.errors.StoreError`."""
        names = tuple(names)
        rest = (len(names), *names, *[each if type(each) in _PACKED else str(each) for each in arguments])
        slot = names[0].encode()
        reply = await self.link.send(pack("EVALSHA", script.digest, *rest), key=slot)
        if isinstance(reply, hiredis.ReplyError) and _is_noscript(reply):
            reply = await self.link.send(pack("EVAL", script.source, *rest), key=slot)
        return _checked(reply, script)

    async def command(self, *parts: str | int | bytes, key: str) -> Reply:
        """One plain command on ``key``; raises :class:`~limiter.stores.errors.StoreError`."""
        return _checked(await self.link.send(pack(*parts), key=key.encode()), None)

    async def ask(self, *parts: str | int | bytes, key: str) -> Reply:
        """The same for what the store may refuse: its refusal, a ``hiredis.ReplyError``, is the reply."""
        reply = await self.link.send(pack(*parts), key=key.encode())
        return reply if isinstance(reply, hiredis.ReplyError) and not is_unavailable(reply) else _checked(reply, None)


def _is_noscript(reply: Reply) -> bool:
    return str(reply).startswith("NOSCRIPT")


def _checked(reply: Reply, script: Script | None) -> Reply:
    """The reply, or the error it stands for."""
    if not isinstance(reply, hiredis.ReplyError):
        return reply
    text = str(reply)
    if is_unavailable(reply):
        raise StoreUnavailable(f"the store cannot decide now: {text}")
    log.error("the store refused %s: %s", script.name if script else "a command", text)
    raise ScriptFailed(text)
