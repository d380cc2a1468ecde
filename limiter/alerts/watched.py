"""How full the limits are that are worth watching: those found near lately, and those an alert is open of."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from limiter import clients
from limiter.alerts.models import Alert
from limiter.core import forecast, keys
from limiter.core.algorithms import rules_of
from limiter.core.store import Store
from limiter.core.types import MICROS, CountedPer, LimitState, Subject
from limiter.core.window import Call, Stack
from limiter.demand import undrained
from limiter.demand.points import Demand, Level
from limiter.demand.state import NOW_S, RefusedCalls, refused
from limiter.policies import stored
from limiter.policies.compiled import PolicyUnavailable
from limiter.policies.effective import TenantEntry
from limiter.policies.plan import bind
from limiter.record import streams
from limiter.record.scripts import Client

_NONE, _UNUSED = RefusedCalls(), Level()
BURST_S = 20
"""How far a look for bursts goes back: several turns, should some be late."""
LATELY_S = 240
"""A limit that was found near its threshold this long ago is looked at: longer than a restart of Celery takes."""
_AT_ONCE = 200

Row = tuple[str, str, str]
"""tenant ID, action ID ("" for all), limit name"""


@dataclass(frozen=True, slots=True)
class Watched:
    """One limit and how it stands at ``at_us``. ``full_in_s``: seconds until it is full at the present pace;
    ``peak``: the fullest that a call found it lately, by the limit in force now or then, whichever is larger; and
    ``refused``: the calls that it refused lately; if these were asked.
    """

    row: Row
    state: LimitState
    multiplier_ppm: int
    stack: Stack
    at_us: int
    full_in_s: float | None = None
    peak: Level = _UNUSED
    refused: RefusedCalls = _NONE


def actions(client: Client, open_alerts: Iterable[Alert], *, now: datetime) -> dict[str, set[str]]:
    """Tenant -> its actions whose calls lately found a limit near, or that an open alert is about ("" for all).

    Workers report the former (:class:`limiter.demand.recorder.DemandRecorder`), so the cost of a turn grows with
    the limits that are near, and not with those in use.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for connection in streams.connections(client):
        members: Any = client.zrangebyscore(keys.near(connection), now.timestamp() - LATELY_S, "+inf")
        for member in members:
            tenant_id, _, action_id = member.decode("utf-8", "replace").partition("|")
            found[tenant_id].add(action_id)
    for alert in open_alerts:
        found[alert.tenant_id].add(alert.action_id)
    return dict(found)


def entries(tenant_ids: Iterable[str]) -> dict[str, TenantEntry]:
    """These tenants with the policies they are under, from the database; without those that cannot be used."""
    found = stored.read_entries(list(tenant_ids))
    return {name: entry for name, entry in found.items() if isinstance(entry, TenantEntry)}


def stacks(entry: TenantEntry, called: Iterable[str]) -> Iterator[Stack]:
    """The limits of these actions, bound; of all the tenant's actions when "" is among them."""
    tenant, called = entry.tenant, set(called)
    if "" in called:
        called |= set(tenant.actions)
    for action_id in sorted(called - {""}):
        try:
            plan = entry.plan(action_id, time.time())
        except PolicyUnavailable:
            continue  # It decides nothing either; readiness tells of it.
        if any(limit.alert_at for limit in plan.limits):
            yield bind(plan, Subject(tenant.connection.id, tenant.tenant_id, action_id, key=""))


Picks = Callable[[Watched], bool]


def read(bound: Sequence[Stack], *, burst: Picks, foresee: Picks, look_back: Picks) -> dict[Row, Watched]:
    """How all these limits stand. Those that ``burst`` picks with the peak of the last seconds, those that
    ``look_back`` picks with the peak and the refusals of the last minute, and then those that ``foresee`` picks with a
    forecast. Raises StoreError.
    """
    return asyncio.run(_read(bound, burst, foresee, look_back)) if bound else {}


async def _read(bound: Sequence[Stack], burst: Picks, foresee: Picks, look_back: Picks) -> dict[Row, Watched]:
    store = clients.store()
    await store.open()
    try:
        found: dict[Row, Watched] = {}
        for at in range(0, len(bound), _AT_ONCE):
            parts = await asyncio.gather(*(_look(store, stack) for stack in bound[at : at + _AT_ONCE]))
            _keep_fullest(found, (seen for part in parts for seen in part))
        for picks, seconds in ((burst, BURST_S), (look_back, NOW_S)):
            found |= await _recorded(store, [each for each in found.values() if picks(each)], seconds=seconds)
        for row, seen in found.items():
            if foresee(seen):
                found[row] = await _foresee(store, seen)
        return found
    finally:
        await store.close()


async def _look(store: Store, stack: Stack) -> list[Watched]:
    decision = await store.decide(stack, Call("", charge=False))
    subject = stack.subject
    seen = []
    for state in decision.states:
        per = state.limit.counted_per
        if per is CountedPer.KEY or not state.limit.alert_at:
            continue  # Nobody's key is presented here: there is no count to look at.
        row = subject.tenant, subject.action if per is CountedPer.ACTION else "", state.limit.name
        seen.append(Watched(row, state, decision.multiplier_ppm, stack, decision.at_us))
    return seen


def _keep_fullest(found: dict[Row, Watched], seen: Iterable[Watched]) -> None:
    """A limit that counts all actions is seen through each of them, and may be another's under the same name."""
    for each in seen:
        kept = found.get(each.row)
        if kept is None or _share(each.state) > _share(kept.state):
            found[each.row] = each


def _share(state: LimitState) -> float:
    return state.used / state.effective


async def _foresee(store: Store, seen: Watched) -> Watched:
    limit = seen.state.limit
    if not rules_of(limit.algorithm).forecasts:
        return seen
    held = await store.held(seen.stack, limit, multiplier_ppm=seen.multiplier_ppm)
    full_in_us = forecast.full_in_us(limit, held, effective=seen.state.effective)
    return seen if full_in_us is None else replace(seen, full_in_s=full_in_us / MICROS)


async def _recorded(store: Store, some: Sequence[Watched], *, seconds: int) -> dict[Row, Watched]:
    """These with what the calls of so many seconds found. A look sees one instant; calls came between two looks.

    It reads the newest demand, which the store has for at least a minute.
    """
    of: dict[int, dict[str, list[Watched]]] = defaultdict(lambda: defaultdict(list))
    for each in some:
        of[each.stack.subject.connection][each.row[0]].append(each)
    now = max((each.at_us for each in some), default=0) // MICROS
    found: dict[Row, Watched] = {}
    for connection, its in of.items():
        names = sorted(its)
        for at in range(0, len(names), _AT_ONCE):
            part = names[at : at + _AT_ONCE]
            demand = await undrained.read(store, connection, part, range(now - seconds + 1, now + 1))
            found |= {each.row: _with(each, demand.get(name), now=now) for name in part for each in its[name]}
    return found


def _with(seen: Watched, demand: Demand | None, *, now: int) -> Watched:
    levels = demand.limits.get(seen.row[1:], {}) if demand else {}
    by_now = [level._replace(effective=max(level.effective, seen.state.effective)) for level in levels.values()]
    peak = max(by_now, key=lambda level: level.used / level.effective, default=_UNUSED)
    calls = refused(((second, level.refused) for second, level in levels.items()), now=now)
    return replace(seen, peak=peak, refused=calls)


def by_row(open_alerts: Iterable[Alert]) -> Mapping[Row, dict[int, Alert]]:
    """The open alerts of each limit by threshold."""
    found: dict[Row, dict[int, Alert]] = defaultdict(dict)
    for alert in open_alerts:
        found[alert.tenant_id, alert.action_id, alert.limit_name][alert.threshold] = alert
    return found
