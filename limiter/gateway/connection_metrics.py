"""Metric families by connection: what the workers see of its upstream, its pause, its pace and its calls in flight."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from limiter.core.learned import Mode
from limiter.core.types import MICROS
from limiter.gateway.scrape import Gathered

_UNIT_COUNTS = {
    "calls": "Calls sent to a connection.",
    "failures": "Of those, failed.",
    "repeats": "Attempts beyond the first.",
    "pushbacks": "Responses that turned a call away for load.",
    "unsolicited": "Times its origin sent bytes that no request asked for.",
    "ended_idle": "Connections that its origin closed while they were kept.",
}


def families(found: Gathered) -> Iterator[Metric]:
    """Counts by worker, since their sum falls when a worker ends; a breaker counts the workers that hold it open."""
    seen = _seen(found)
    yield from _counts(found, seen)
    yield from _states(found, seen)
    yield from _in_flight(found, seen)


def counted(name: str, text: str, *, labels: Sequence[str]) -> tuple[CounterMetricFamily, GaugeMetricFamily]:
    """The counter ``<name>_total``, and the gauge ``<name>`` that 0.2.0 had in its place, for one more release."""
    return (
        CounterMetricFamily(name, text, labels=labels),
        GaugeMetricFamily(name, f"{name}_total replaces it; the next release leaves it out.", labels=labels),
    )


def _counts(found: Gathered, seen: Mapping[str, Counter[str]]) -> Iterator[Metric]:
    own: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for worker, state in found.workers.items():
        for unit in state["upstream"].values():
            own[unit["name"], worker].update({name: unit[name] for name in _UNIT_COUNTS})
    for name, text in _UNIT_COUNTS.items():
        family = CounterMetricFamily(f"quota_connection_{name}", text, labels=["connection", "worker"])
        for labels, counts in sorted(own.items()):
            family.add_metric(labels, counts[name])
        yield family
        earlier = (
            f"The sum over the workers running now; quota_connection_{name}_total replaces it in the next release."
        )
        gauge = GaugeMetricFamily(f"quota_connection_{name}", earlier, labels=["connection"])
        for connection, counts in sorted(seen.items()):
            gauge.add_metric([connection], counts[name])
        yield gauge


def _seen(found: Gathered) -> Mapping[str, Counter[str]]:
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for state in found.workers.values():
        for unit in state["upstream"].values():
            counts = seen[unit["name"]]
            counts.update({name: unit[name] for name in _UNIT_COUNTS})
            counts["open"] += unit["breaker"] != "closed"
            counts["distrusting"] += unit["without_keep_alive_until"] > found.now
    return seen


def _states(found: Gathered, seen: Mapping[str, Counter[str]]) -> Iterator[Metric]:
    breakers = GaugeMetricFamily("quota_connection_breakers_open", "Workers not calling it.", labels=["connection"])
    distrusting = GaugeMetricFamily(
        "quota_connection_without_keep_alive",
        "Workers that use it without keep-alive, for bytes that no request asked for.",
        labels=["connection"],
    )
    healthy = GaugeMetricFamily("quota_connection_healthy", "0 when it cannot be used.", labels=["connection"])
    paused = GaugeMetricFamily(
        "quota_connection_paused_seconds",
        "How long its calls are held back from now on, after pushback of the upstream.",
        labels=["connection"],
    )
    paces = GaugeMetricFamily(
        "quota_connection_pace_per_minute", "Calls a minute that it is held at; absent: any.", labels=["connection"]
    )
    for connection, counts in sorted(seen.items()):
        paused.add_metric([connection], _paused_s(found, connection))
        for row in _rows(found, connection) & found.paces.keys():
            paces.add_metric([connection], found.paces[row].per_minute)
        breakers.add_metric([connection], counts["open"])
        distrusting.add_metric([connection], counts["distrusting"])
        if found.faults is not None:
            healthy.add_metric([connection], float(connection not in found.faults))
    return iter((breakers, distrusting, healthy, paused, paces))


def _in_flight(found: Gathered, connections: Iterable[str]) -> Iterator[Metric]:
    """Of connections that learn their limit in flight and were called in the last quarter of an hour."""
    limits = GaugeMetricFamily(
        "quota_connection_in_flight_limit", "Calls in flight that it allows, as learned.", labels=["connection"]
    )
    running = GaugeMetricFamily(
        "quota_connection_in_flight", "Calls in flight at the latest step.", labels=["connection"]
    )
    states = GaugeMetricFamily(
        "quota_connection_in_flight_state",
        "1 for the state that its learned limit is in, 0 for the others.",
        labels=["connection", "state"],
    )
    for connection in sorted(connections):
        for row in _rows(found, connection) & found.in_flight.keys():
            allowed, state = found.in_flight[row]
            limits.add_metric([connection], allowed)
            running.add_metric([connection], state.in_flight)
            for mode in Mode:
                states.add_metric([connection, mode], float(mode is state.mode))
    return iter((limits, running, states))


def _rows(found: Gathered, connection: str) -> set[int]:
    units = (unit for state in found.workers.values() for unit in state["upstream"].values())
    return {unit["id"] for unit in units if unit["name"] == connection}


def _paused_s(found: Gathered, connection: str) -> float:
    rows = _rows(found, connection)
    ends_us = max((pause.until_us for row, pause in found.pauses.items() if row in rows), default=0)
    return max(0.0, ends_us / MICROS - found.now)
