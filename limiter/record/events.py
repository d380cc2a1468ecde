"""Throttle events: from the streams, and from the counts of floods, into rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError

from limiter.core import adaptive, description, keys, refusal
from limiter.core.decision_ids import IdKind, complete
from limiter.core.types import PPM
from limiter.core.versioned import Newer
from limiter.record import batches, chain, dead_letters, gaps
from limiter.record.models import ThrottleEvent
from limiter.record.models.event import ALONE
from limiter.record.scripts import Client
from limiter.record.streams import EventStream, StreamEntry

FLOOD = "flood"
"""Field of a stream's entry that was folded from a flood: the id that its row would have had at once."""
_NO_POLICY = {"policy_name": "", "policy_version": 0, "quota": 0, "burst": 0}
_UNCOUNTED = {"name": "", "used": 0, "effective": 0, "wait_us": 1_000_000}


def of(client: Client, connection: int) -> EventStream:
    """The stream of a connection's events."""
    return EventStream(client, keys.events(connection), connection=connection)


def write(stream: EventStream, entries: Sequence[StreamEntry]) -> int:
    """Store events; raises ValueError or LookupError for an entry that is none."""
    for entry in entries:
        if "lost" in entry.fields:
            gaps.lost_alone(stream.name, entry)
    rows = [_entered(entry) for entry in entries if "lost" not in entry.fields]
    _explain_cuts(stream.client, stream.connection, rows)
    return chain.store_events(rows)


def store_floods(client: Client, connection: int) -> int:
    """Store the refusals that a flood left no entries for: one row for those of one kind and second."""
    name = keys.floods(connection)
    batch = batches.take(client, name)
    if batch is None:
        return 0
    data = {kind: text for kind, text in batch.counts.items() if kind.endswith("|last")}
    stored = _store_floods(client, connection, batch.name, data)
    batches.drop(client, name, batch)
    return stored


def _store_floods(client: Client, connection: int, batch: str, data: Mapping[str, str]) -> int:
    """Store the rows of a batch; of one that fails, each by itself, and what fails by itself is a dead letter."""
    try:
        rows = [event(_flood_id(connection, batch, kind), text) for kind, text in sorted(data.items())]
        _explain_cuts(client, connection, rows)
        return chain.store_events(rows) if rows else 0
    except (OperationalError, InterfaceError):
        raise
    except (DatabaseError, ValueError, LookupError) as error:
        if len(data) > 1:
            return sum(_store_floods(client, connection, batch, {kind: data[kind]}) for kind in sorted(data))
        ((kind, text),) = data.items()
        stream_id = _flood_id(connection, batch, kind)
        if isinstance(error, Newer):  # it waits in the stream for a newer worker, as single refusals do
            of(client, connection).add({"event": text, FLOOD: stream_id})
            return 0
        dead_letters.keep(stream_id, stream=keys.floods(connection), fields={kind: text}, deliveries=1)
        return 0


def _flood_id(connection: int, batch: str, kind: str) -> str:
    return f"c{connection}/f/{batch}/{hashlib.sha256(kind.encode()).hexdigest()[:16]}"


def _entered(entry: StreamEntry) -> ThrottleEvent:
    stream_id = entry.fields.get(FLOOD, entry.stream_id)
    return event(ALONE.join(stream_id.split("/", 1)) if "alone" in entry.fields else stream_id, entry.fields["event"])


def event(stream_id: str, text: str) -> ThrottleEvent:
    """The row that a refusal's text stands for; raises ValueError or LookupError when it is incomplete."""
    data = refusal.read(text)
    at = _moment(data.at_us)
    limits = _limits(data.limits, data.states)
    bound = _bound(limits, shadow=data.shadow, alone=ALONE in stream_id)
    kind = IdKind(data.tenant, data.action, data.key_prefix, bound["name"], data.shadow)
    return ThrottleEvent(
        stream_id=stream_id,
        at=at,
        first_at=at.replace(microsecond=0) if data.folded else None,
        count=data.folded or 1,
        tenant_id=data.tenant,
        action_id=data.action,
        key_prefix=data.key_prefix,
        request_id=data.request_id[:128],
        decision_id=complete(data.decision_id, data.at_us, kind),
        policy_name=bound["policy_name"],
        policy_version=bound["policy_version"],
        limit_name=bound["name"],
        used=bound["used"],
        quota=bound["burst"] or bound["quota"],
        effective_limit=bound["effective"],
        multiplier=data.multiplier_ppm / PPM,
        cost=data.cost,
        retry_after_ms=None if bound["wait_us"] < 0 else bound["wait_us"] / 1000,
        shadow=data.shadow,
        limits=limits,
    )


def _limits(described: str, states: Sequence[int]) -> list[dict[str, Any]]:
    """Each limit in force, with how it stood: used, effective, wait_us (-1: never), reset_us."""
    limits = _described(described)
    if len(states) != 4 * len(limits):
        raise ValueError(f"{len(limits)} limits have {len(states)} numbers")
    found = []
    for at, limit in enumerate(limits):
        used, effective, wait_us, reset_us = states[4 * at : 4 * at + 4]
        found.append({**limit, "used": used, "effective": effective, "wait_us": wait_us, "reset_us": reset_us})
    return found


@lru_cache(maxsize=1_024)
def _described(text: str) -> tuple[dict[str, Any], ...]:
    """Read once for all the events that a stack of limits makes."""
    return tuple(_payload(asdict(limit)) for limit in description.read(text))


def _payload(limit: dict[str, Any]) -> dict[str, Any]:
    """As events had it before limits could be shared or count by a value, for one that does not."""
    return {name: value for name, value in limit.items() if name not in ("share", "counted_by", "value") or value}


def _bound(limits: Sequence[dict[str, Any]], *, shadow: bool, alone: bool) -> dict[str, Any]:
    """The limit in the caller's response: of those that refused, the one with the longest wait.

    One of no name where the policy lets no call pass without the store, and nothing was counted.
    """
    refused = [limit for limit in limits if limit["wait_us"] != 0 and limit["shadow"] == shadow]
    if not refused and alone:
        return {**(limits[0] if limits else _NO_POLICY), **_UNCOUNTED}
    if not refused:
        raise ValueError("no limit refused this call")
    return max(refused, key=lambda limit: float("inf") if limit["wait_us"] < 0 else float(limit["wait_us"]))


def _explain_cuts(client: Client, connection: int, events: Sequence[ThrottleEvent]) -> None:
    """Write to each event what its multiplier was computed from, as long as the store still says so."""
    wanted = sorted({(event.tenant_id, action) for event in events for action in (event.action_id, "")})
    shown = _shown(client, connection, wanted) if wanted else {}
    for event in events:
        for action in (event.action_id, ""):
            ppm, p95_us, samples, threshold_us = shown.get((event.tenant_id, action), (0, 0, 0, 0))
            if samples and ppm == round(event.multiplier * PPM):
                event.p95_ms = p95_us / 1000 if p95_us else None  # of too few calls to have one
                event.p95_samples, event.threshold_ms = samples, threshold_us / 1000
                break


def _shown(
    client: Client, connection: int, wanted: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], tuple[int, int, int, int]]:
    """Multiplier (millionths), p95 (us), samples and threshold (us), as ``adapt.lua`` keeps them."""
    values: Any = client.hmget(keys.evidence(connection), [f"{tenant}|{action}" for tenant, action in wanted])
    found = {}
    for pair, value in zip(wanted, values, strict=True):
        if (seen := adaptive.shown_or_none(value)) is not None:
            found[pair] = seen.ppm, seen.p95_us, seen.samples, seen.threshold_us
    return found


def _moment(at_us: int) -> datetime:
    seconds, micros = divmod(at_us, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)
