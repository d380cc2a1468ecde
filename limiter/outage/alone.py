"""A worker's own decisions while the store was unavailable, until the store has them: refusals, and usage counts.

Refusals are folded as the deciding script folds them, so that a flood fills nothing. All of it is bounded; what cannot
be kept is counted and becomes a gap of the record. A worker that is killed meanwhile loses them.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from limiter.core.decision_ids import binding
from limiter.core.refusal import Refusal, write
from limiter.core.store import MAX_TAKEN_OVER, DecidedAlone, Store
from limiter.core.types import PPM, Decision
from limiter.core.window import Call, Stack
from limiter.stores.errors import StoreError

MAX_KEPT = 5_000
"""Refusals of a connection that are kept with all they say, and usage counts of one; of more there is a number only."""
FLOOD = 10
"""As in ``decide.lua``: refusals of one kind and second with events of their own; the others count for the last."""

log = logging.getLogger(__name__)
_Kind = tuple[int, bool, str, str, str, str]


@dataclass(slots=True)
class _Kept:
    """One connection's. ``folded``: of each kind the last refusal beyond those with events of their own."""

    data: list[Refusal] = field(default_factory=list)
    folded: dict[_Kind, Refusal] = field(default_factory=dict)
    seen: Counter[_Kind] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    from_us: int = 0
    until_us: int = 0

    def refused(self, kind: _Kind, refusal: Refusal) -> None:
        if kind in self.folded:
            self.folded[kind] = refusal._replace(folded=self.folded[kind].folded + 1)
        elif len(self.data) + len(self.folded) >= MAX_KEPT:
            self.lost += 1
            self.from_us, self.until_us = self.from_us or refusal.at_us, refusal.at_us
        elif self.seen[kind] < FLOOD:
            self.seen[kind] += 1
            self.data.append(refusal)
        else:
            self.folded[kind] = refusal._replace(folded=1)

    def count(self, name: str, by: int = 1) -> None:
        if name in self.counts or len(self.counts) < MAX_KEPT:
            self.counts[name] += by

    def parts(self) -> Iterator[DecidedAlone]:
        """All of it, in parts that one script takes."""
        events = [write(refusal) for refusal in (*self.data, *self.folded.values())]
        counts = list(self.counts.items())
        for at in range(0, max(len(events), len(counts), 1), MAX_TAKEN_OVER):
            some = slice(at, at + MAX_TAKEN_OVER)
            lost = 0 if at else self.lost
            yield DecidedAlone(
                secrets.token_hex(12), tuple(events[some]), dict(counts[some]), lost, self.from_us, self.until_us
            )


class Alone:
    """One worker's. ``kept`` grows while the store is unavailable; ``_leaving`` is on its way, or in doubt, and is
    sent again under the same name until the store has acknowledged it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[int, _Kept] = {}
        self._leaving: dict[int, list[DecidedAlone]] = {}
        self._handing_in = asyncio.Lock()

    @property
    def waiting(self) -> int:
        """Refusals with a text of their own that the store does not have yet."""
        kept = sum(len(each.data) + len(each.folded) for each in self._kept.values())
        return kept + sum(len(part.events) for parts in self._leaving.values() for part in parts)

    def away(self, connection: int) -> None:
        """The store does not answer for this connection: :meth:`hand_in` finds out when it does."""
        self._kept.setdefault(connection, _Kept())

    def note(self, stack: Stack, call: Call, decision: Decision | None, *, at_us: int) -> None:
        """Note a call that was decided here; no ``decision``: refused uncounted, as the policy's failure mode asks."""
        subject = stack.subject
        kept = self._kept.setdefault(subject.connection, _Kept())
        line = f"{at_us // 60_000_000}|{subject.tenant}|{subject.action}|"
        allowed = decision is not None and decision.allowed
        kept.count(f"{line}allowed" if allowed else f"{line}refused")
        if allowed and call.cost > 1:
            kept.count(f"{line}extra_cost", call.cost - 1)
        if allowed and call.waited:
            kept.count(f"{line}waited")
        shadow = decision is not None and decision.allowed and bool(decision.shadow_violated)
        if shadow:
            kept.count(f"{line}shadow_refused")
        if allowed and not shadow:
            return
        refusal = _refusal(stack, call, decision, shadow=shadow, at_us=at_us)
        refusing = (decision.shadow_violated if shadow else decision.violated) if decision else ()
        limit = binding(refusing).limit.name if refusing else ""
        kind = at_us // 1_000_000, shadow, limit, subject.tenant, subject.action, refusal.key_prefix
        kept.refused(kind, refusal)

    async def hand_in(self) -> set[int]:
        """Hand the waiting decisions to the store; those that it does not take stay for the next time.

        Returns the connections for which it has taken all, so that it answers for them again. One at a time: two would
        hand in the same part twice.
        """
        async with self._handing_in:
            return await self._hand_in()

    async def _hand_in(self) -> set[int]:
        taken = set()
        for connection in {*self._kept, *self._leaving}:
            parts = self._leaving.setdefault(connection, [])
            if not parts and connection in self._kept:
                parts.extend(self._kept.pop(connection).parts())
            try:
                while parts:
                    await self._store.take_over(connection, parts[0])
                    parts.pop(0)
            except StoreError:
                continue
            del self._leaving[connection]
            taken.add(connection)
        return taken

    async def close(self) -> None:
        """Hand in once more."""
        await self.hand_in()
        if self.waiting:
            log.warning("%d refusals decided without the store are not recorded: it is still away", self.waiting)


def _refusal(stack: Stack, call: Call, decision: Decision | None, *, shadow: bool, at_us: int) -> Refusal:
    key_prefix, _, request_id = call.context.partition("|")
    if decision is not None:
        states = [number for state in decision.states for number in state[1:]]
    else:
        states = [number for limit in stack.limits for number in (0, limit.burst or limit.quota, 0, 0)]
    return Refusal(
        at_us=at_us,
        folded=0,
        shadow=shadow,
        multiplier_ppm=PPM,
        cost=call.cost,
        tenant=stack.subject.tenant,
        action=stack.subject.action,
        decision_id=call.decision_id,
        key_prefix=key_prefix,
        request_id=request_id,
        states=tuple(states),
        limits=stack.described,
    )
