"""The Prometheus page: what a scrape has read, as metric families.

prometheus_client's multiprocess files forbid custom collectors and count a restarted worker twice; here every worker
answers the same, since the counts live in the store and each worker's own state in its heartbeat.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import nlargest
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from limiter.core import latency
from limiter.core.store import OUTCOMES
from limiter.core.types import PPM
from limiter.gateway import connection_metrics
from limiter.gateway.connection_metrics import counted
from limiter.gateway.scrape import Gathered
from limiter.record.runs import Run

_DECISIONS = ("allowed", "refused", "shadow_refused")
_LATENCY_STEPS = range(0, 72, 4)
"""Every fourth bucket is a power of two milliseconds: 1 ms … 131 s."""


async def written(found: Gathered, *, max_tenants: int) -> bytes:
    """The page, written in a thread: with very many tenants it takes seconds, which callers would wait for."""
    return await asyncio.to_thread(page, found, max_tenants=max_tenants)


def page(found: Gathered, *, max_tenants: int) -> bytes:
    """The text that Prometheus reads: of so many tenants by name, those with the most calls, and of all together."""
    registry = CollectorRegistry()
    registry.register(_Collected(found, named(found.totals, max_tenants)))
    text: bytes = generate_latest(registry)
    return text


def named(totals: Mapping[str, Mapping[str, int]], max_tenants: int) -> list[str]:
    """The tenants with the most calls so far, by name. These counts only grow, so the choice changes seldom."""
    if len(totals) <= max_tenants:
        return sorted(totals)

    def calls(tenant: str) -> int:
        return sum(totals[tenant].get(name, 0) for name in _DECISIONS)

    return sorted(nlargest(max_tenants, totals, key=lambda tenant: (calls(tenant), tenant)))


class _Collected(Collector):
    """The gathered values, as metric families. Those by tenant have the named ones only."""

    def __init__(self, found: Gathered, names: Sequence[str]) -> None:
        self._found = found
        self._tenants = [(name, found.totals[name]) for name in names]
        self._names = frozenset(names)

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield from self._calls()
        yield from self._record()
        yield self._latency()
        yield from self._adaptive()
        yield from self._workers()
        yield self._failed("keys", "Calls with an invalid key, by their response.")
        yield self._failed("tokens", "Requests to the management API with an invalid token, by their response.")
        yield from self._server()
        yield from connection_metrics.families(self._found)
        yield self._round_trips()

    def _calls(self) -> Iterator[Metric]:
        decisions = CounterMetricFamily("quota_decisions", "Calls decided.", labels=["tenant", "decision"])
        outcomes = CounterMetricFamily(
            "quota_outcomes", "Admitted calls by how they ended.", labels=["tenant", "outcome"]
        )
        for tenant, counts in self._tenants:
            for name in _DECISIONS:
                decisions.add_metric([tenant, name], counts.get(name, 0))
            for name in OUTCOMES:
                if name in counts:
                    outcomes.add_metric([tenant, name], counts[name])
        yield decisions
        yield outcomes
        yield from self._of_all()
        yield self._counted("held_back", "Calls that the upstream would have turned away, and did not get.")
        yield self._counted("waited", "Calls that waited for their turn and were then admitted.")
        yield self._counted("returned", "Calls that came back at the time of their Retry-After.")
        yield self._kept_ratio()
        yield self._counted("given_back", "Units of calls that certainly did not run, given back to their limits.")

    def _of_all(self) -> Iterator[Metric]:
        """Over every tenant, named or not: sums of counts that only grow, so that they are counters, too.

        The sum of the unnamed ones would fall whenever one of them gets a name, which Prometheus takes for a restart.
        """
        sums: Counter[str] = Counter()
        for counts in self._found.totals.values():
            sums.update({name: counts[name] for name in (*_DECISIONS, *OUTCOMES) if name in counts})
        decisions = CounterMetricFamily("quota_all_decisions", "Calls decided, of all tenants.", labels=["decision"])
        outcomes = CounterMetricFamily(
            "quota_all_outcomes", "Admitted calls of all tenants by how they ended.", labels=["outcome"]
        )
        for name in _DECISIONS:
            decisions.add_metric([name], sums[name])
        for name in OUTCOMES:
            if name in sums:
                outcomes.add_metric([name], sums[name])
        yield decisions
        yield outcomes
        yield GaugeMetricFamily("quota_tenants_called", "Tenants with a count.", value=len(self._found.totals))
        yield GaugeMetricFamily("quota_tenants_named", "Of those, in the metrics by tenant.", value=len(self._names))

    def _kept_ratio(self) -> Metric:
        family = GaugeMetricFamily(
            "quota_retry_after_kept_ratio",
            "Calls that were admitted among those that came back at the time of their Retry-After.",
            labels=["tenant"],
        )
        for tenant, counts in self._tenants:
            if returned := counts.get("returned"):
                family.add_metric([tenant], counts.get("kept", 0) / returned)
        return family

    def _counted(self, counter: str, text: str) -> Metric:
        family = CounterMetricFamily(f"quota_{counter}", text, labels=["tenant"])
        for tenant, counts in self._tenants:
            if counter in counts:
                family.add_metric([tenant], counts[counter])
        return family

    def _record(self) -> Iterator[Metric]:
        record = self._found.record
        yield GaugeMetricFamily(
            "quota_throttle_events_waiting", "Events not in the database yet.", value=record.waiting
        )
        yield GaugeMetricFamily("quota_record_lag_seconds", "How long the oldest of them has waited.", record.lag_s)
        if queue := self._found.queue:
            yield GaugeMetricFamily("quota_queue_waiting", "Messages no Celery worker took yet.", value=queue.waiting)
            yield GaugeMetricFamily("quota_queue_oldest_seconds", "How long the oldest has waited.", queue.oldest_s)
        gauges: dict[str, tuple[str, Callable[[Run], float]]] = {
            "quota_task_last_run_timestamp_seconds": ("When a periodic task last ended.", lambda run: run.at),
            "quota_task_ok": ("0 when its last run failed.", lambda run: float(run.ok)),
            "quota_task_took_seconds": ("How long its last run took.", lambda run: run.took_ms / 1000),
        }
        for name, (text, read) in gauges.items():
            family = GaugeMetricFamily(name, text, labels=["task"])
            for task, run in record.tasks.items():
                family.add_metric([task], read(run))
            yield family

    def _latency(self) -> Metric:
        family = HistogramMetricFamily("quota_upstream_latency_seconds", "Upstream latency.", labels=["tenant"])
        for tenant, counts in self._tenants:
            by_bucket = {int(name[2:]): count for name, count in counts.items() if _is_bucket(name)}
            if not by_bucket:
                continue
            buckets = [
                (f"{latency.upper_ms(step) / 1000:g}", float(sum(c for i, c in by_bucket.items() if i <= step)))
                for step in _LATENCY_STEPS
            ]
            buckets.append(("+Inf", float(sum(by_bucket.values()))))
            family.add_metric([tenant], buckets, sum_value=counts.get("latency_us", 0) / 1_000_000)
        return family

    def _adaptive(self) -> Iterator[Metric]:
        factor = GaugeMetricFamily("quota_adaptive_multiplier", "Factor of the limits.", labels=["tenant", "action"])
        p95 = GaugeMetricFamily("quota_upstream_p95_seconds", "p95 the factor follows.", labels=["tenant", "action"])
        for (tenant, action), shown in sorted(self._found.evidence.items()):
            if tenant not in self._names:
                continue
            holds = shown.until_us > self._found.now * 1_000_000
            factor.add_metric([tenant, action], (shown.ppm if holds else shown.default_ppm) / PPM)
            if holds and shown.p95_us:  # else it is of calls long past, or of too few to have one
                p95.add_metric([tenant, action], shown.p95_us / 1_000_000)
        yield factor
        yield p95

    def _workers(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("quota_workers", "Workers heard lately.", value=len(self._found.workers))
        clients = GaugeMetricFamily("quota_store_connected_clients", "Clients of the store.")
        if self._found.connected_clients is not None:
            clients.add_metric([], self._found.connected_clients)
        yield clients
        gauges: dict[str, tuple[str, Callable[[dict[str, Any]], float]]] = {
            "quota_snapshot_seq": ("Last edit a worker applied.", lambda s: s["snapshot"]["seq"]),
            "quota_policy_problems": ("Policies that cannot compile.", lambda s: len(s["snapshot"]["problems"])),
            "quota_store_available": ("1 when the store responds.", lambda s: float(s["store"]["available"])),
            "quota_store_connections": ("Open connections to the store.", lambda s: s["store"]["connections"]),
            "quota_store_pool_size": ("Most connections to the store.", lambda s: s["store"]["pool_size"]),
            "quota_store_in_flight": ("Commands without a reply.", lambda s: s["store"]["in_flight"]),
            "quota_degraded": ("1 while deciding without the store.", lambda s: float(s["degraded_since"] is not None)),
            "quota_waiting_calls": ("Calls that wait for their turn.", lambda s: s["waiting"]["calls"]),
            "quota_records_waiting": ("Ends of calls not recorded yet.", lambda s: s["records"]["waiting"]),
        }
        for name, (text, read) in gauges.items():
            family = GaugeMetricFamily(name, text, labels=["worker"])
            for worker, state in sorted(self._found.workers.items()):
                family.add_metric([worker], read(state))
            yield family
        yield from self._worker_counts()

    def _worker_counts(self) -> Iterator[Metric]:
        """Counts of a worker since its start: they only grow."""
        counts: dict[str, tuple[str, Callable[[dict[str, Any]], float]]] = {
            "quota_store_failures": ("Failed commands.", lambda s: s["store"]["failures"]),
            "quota_records_lost": ("Ends of calls that may be lost.", lambda s: s["records"]["lost"]),
        }
        for name, (text, read) in counts.items():
            for family in counted(name, text, labels=["worker"]):
                for worker, state in sorted(self._found.workers.items()):
                    family.add_metric([worker], read(state))
                yield family
        for family in counted(
            "quota_unreadable_values", "Values of other releases not understood.", labels=["worker", "kind"]
        ):
            for worker, state in sorted(self._found.workers.items()):
                for kind, count in sorted(state["unreadable"].items()):
                    family.add_metric([worker, kind], count)
            yield family

    def _failed(self, what: str, documentation: str) -> Metric:
        family = CounterMetricFamily(f"quota_failed_{what}", documentation, labels=["worker", "status"])
        for worker, state in sorted(self._found.workers.items()):
            family.add_metric([worker, "401"], state[f"failed_{what}"]["invalid"])
            family.add_metric([worker, "429"], state[f"failed_{what}"]["refused"])
        return family

    def _server(self) -> Iterator[Metric]:
        """What each web process serves, and rejects before an application hears of it."""
        open_now = GaugeMetricFamily("quota_server_connections", "Callers' connections.", labels=["worker"])
        rejected = CounterMetricFamily(
            "quota_server_rejections", "Requests and connections rejected by the server.", labels=["worker", "type"]
        )
        for worker, state in sorted(self._found.workers.items()):
            open_now.add_metric([worker], state["server"]["connections"])
            for kind, count in sorted(state["server"]["rejections"].items()):
                rejected.add_metric([worker, kind], count)
        return iter((open_now, rejected))

    def _round_trips(self) -> Metric:
        family = HistogramMetricFamily("quota_store_round_trip_seconds", "Decisions' round trips.", labels=["worker"])
        for worker, state in sorted(self._found.workers.items()):
            trips, seen, buckets = state["round_trips"], 0, []
            for bound, count in zip([*map(str, trips["bounds"]), "+Inf"], trips["counts"], strict=True):
                seen += count
                buckets.append((bound, float(seen)))
            family.add_metric([worker], buckets, sum_value=trips["total_s"])
        return family


def _is_bucket(counter: str) -> bool:
    return counter.startswith("ms") and counter[2:].isdecimal()
