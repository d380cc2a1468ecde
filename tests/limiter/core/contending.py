"""Traffic of many tenants on one shared limit, sent to the real script thousands of calls at a time."""

from __future__ import annotations

import contextlib
import heapq
import random
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import hiredis

from limiter.core import in_flight
from limiter.core.algorithms import rules_of
from limiter.core.deciding import script_of
from limiter.core.ends import LearningSettings
from limiter.core.store import RECORD, EndedCall, Store
from limiter.core.types import Decision, Limit, Portion, Share, Subject
from limiter.core.window import Call, Stack, bind, pack, read
from limiter.stores.pipeline import pack as pack_command
from tests.limiter.core.given import T0
from tests.limiter.core.walking import STAY
from tests.patience import HANG_S

_AT_ONCE = 500
EVEN = Share()


class Asked(NamedTuple):
    """One call and the script's reply."""

    at_us: int
    tenant: str
    cost: int
    stack: Stack
    call: Call
    reply: list[Any]

    @property
    def allowed(self) -> bool:
        return bool(self.reply[2] == 1)

    @property
    def used(self) -> int:
        return int(self.reply[3])

    @property
    def decision(self) -> Decision:
        return read(self.stack, self.call, self.reply)


class _Caught:
    """A link that keeps the command in place of sending it."""

    packed = b""

    async def send(self, packed: bytes, *, key: bytes) -> None:
        self.packed = packed


@dataclass
class Contention:
    """A connection to a store on which tenants contend for one limit; ``shares`` by tenant."""

    url: str
    limit: Limit
    shares: Mapping[str, Share] = field(default_factory=dict)
    calls: int = 0
    _ends: list[tuple[int, str, str]] = field(default_factory=list)

    def __enter__(self) -> Contention:
        address = urlsplit(self.url)
        self._socket = socket.create_connection((address.hostname or "", address.port or 0), timeout=HANG_S)
        self._reader = hiredis.Reader()
        self._stacks: dict[str, Stack] = {}
        self._script = script_of(self.stack("any"))
        for script in (self._script, RECORD):
            self._send(pack_command("SCRIPT", "LOAD", script.source))
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def stack(self, tenant: str) -> Stack:
        if tenant not in self._stacks:
            subject = Subject(1, tenant, "act", "")
            share = replace(
                self.shares.get(tenant, EVEN), over_us=rules_of(self.limit.algorithm).shared_over_us(self.limit)
            )
            self._stacks[tenant] = bind([replace(self.limit, share=share)], subject=subject)
        return self._stacks[tenant]

    def ask(self, calls: Iterable[tuple[int, str, int]]) -> Iterator[Asked]:
        """Decide calls (when, us after T0; whose; cost) in their order, by the clock that they hand in."""
        waiting: list[tuple[int, str, int]] = []
        for each in calls:
            waiting.append(each)
            if len(waiting) == _AT_ONCE:
                yield from self._decide(waiting)
                waiting = []
        yield from self._decide(waiting)

    def look(self, tenant: str, at_us: int) -> Decision:
        """What a call would find, without making it."""
        return self.decide(tenant, Call("look", charge=False, now_us=T0 + at_us))

    def divided(self, tenant: str) -> tuple[float, float] | None:
        """What all shares add up to by the last division: those of one unit and more, and those below."""
        (known,) = self._send(pack_command("HGET", self.stack(tenant).pools[0], "#"))
        return struct.unpack_from("<dd", known, 24) if known else None

    def hold(self, calls: Iterable[tuple[int, str, int]]) -> Iterator[Asked]:
        """The same for slots: calls (when; whose; how long it runs if admitted, us), which end in their time."""
        for at_us, tenant, runs_us in calls:
            self.finish(at_us)
            (asked,) = self._decide([(at_us, tenant, 1)])
            if asked.allowed:
                heapq.heappush(self._ends, (at_us + runs_us, tenant, asked.call.decision_id))
            yield asked

    def finish(self, at_us: int) -> None:
        """End the calls that have run by then."""
        while self._ends and self._ends[0][0] <= at_us:
            self._end(*heapq.heappop(self._ends))

    def _end(self, at_us: int, tenant: str, lease: str) -> None:
        link = _Caught()
        ended = Store(cast(Any, link)).record(
            self.stack(tenant), [EndedCall(lease, "answered")], settings=None, now_us=T0 + at_us
        )
        with contextlib.suppress(StopIteration):
            ended.send(None)
        self._send(link.packed)

    def _decide(self, calls: list[tuple[int, str, int]]) -> list[Asked]:
        made = []
        for at_us, tenant, cost in calls:
            self.calls += 1
            made.append((at_us, tenant, cost, self.stack(tenant), Call(f"d{self.calls}", cost, now_us=T0 + at_us)))
        packed = [pack(stack, call, verb=b"EVALSHA", script=self._script.digest) for *_, stack, call in made]
        replies = self._send(b"".join(packed), expect=len(packed))
        return [Asked(*each, reply) for each, reply in zip(made, replies, strict=True)]

    def decide(self, tenant: str, call: Call) -> Decision:
        """One call, by its own clock and no other: keys end by the server's, and so are made to stay."""
        return self.decide_by(self.stack(tenant), call)

    def decide_by(self, stack: Stack, call: Call) -> Decision:
        """The same by any stack, whose script the store has."""
        counts = stack.keys[8:]
        stay = pack_command("EVAL", STAY, len(counts), *counts)
        reply, _ = self._send(pack(stack, call, verb=b"EVALSHA", script=script_of(stack).digest) + stay, expect=2)
        return read(stack, call, reply)

    def give(self, shares: Mapping[str, Share]) -> None:
        """Edit the terms of tenants."""
        self.shares = {**self.shares, **shares}
        self._stacks = {name: stack for name, stack in self._stacks.items() if name not in shares}

    def _send(self, packed: bytes, *, expect: int = 1) -> list[Any]:
        self._socket.sendall(packed)
        replies: list[Any] = []
        while len(replies) < expect:
            reply = self._reader.gets()
            if reply is False:
                self._reader.feed(self._socket.recv(1 << 16))
            elif isinstance(reply, hiredis.ReplyError):
                raise AssertionError(str(reply))
            else:
                replies.append(reply)
        return replies


@dataclass
class OfConnection(Contention):
    """Tenants without limits of their own, under what their connection learns: calls in flight, or a pace.

    ``learning``: of calls in flight; None for a pace. ``shared``: tenants have shares of it.
    """

    learning: LearningSettings | None = None
    shared: bool = True

    def stack(self, tenant: str) -> Stack:
        if tenant not in self._stacks:
            terms = self.shares.get(tenant, Portion()) if self.shared else None
            learned = in_flight.learned(self.learning, terms) if self.learning else None
            of_pace = None if learned else terms
            self._stacks[tenant] = bind([], subject=Subject(1, tenant, "act", ""), learned=learned, paced=of_pace)
        return self._stacks[tenant]


def paced(
    tenant: str, *, per_s: float, until_s: float, from_s: float = 0, cost: int = 1
) -> Iterator[tuple[int, str, int]]:
    """Calls at even gaps."""
    for number in range(int((until_s - from_s) * per_s)):
        yield int((from_s + number / per_s) * 1e6), tenant, cost


def at_random(
    tenant: str, *, per_s: float, until_s: float, rng: random.Random, from_s: float = 0, cost: int = 1
) -> Iterator[tuple[int, str, int]]:
    """Calls whenever: what a crowd of callers makes."""
    at = from_s
    while (at := at + rng.expovariate(per_s)) < until_s:
        yield int(at * 1e6), tenant, cost
