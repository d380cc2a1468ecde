"""Thousands of calls that wait for a slow upstream at once, in one worker: no error, and the memory they hold."""

from __future__ import annotations

from tests.bench.effort import Effort
from tests.bench.findings import Findings, Reach, Table
from tests.bench.load import run
from tests.bench.stage import Stage

MB = 1024 * 1024


def measure(stage: Stage, effort: Effort) -> Findings:
    gateway = stage.contenders["gateway"]
    gateway.server.forget_rss_peak()
    before = gateway.server.rss_peak_bytes()
    calls = effort.in_flight * effort.in_flight_batches
    load = run(gateway.targets["1 s"], connections=effort.in_flight, seconds=30, most=calls)
    peak = gateway.server.rss_peak_bytes()
    failed = load.others(200)
    rows = [
        ["calls in flight at a time", f"{effort.in_flight:,}"],
        ["calls", f"{calls:,}"],
        ["failed", f"{failed:,}"],
        ["slowest", f"{max(load.latencies_ms, default=0) / 1000:.2f} s"],
        ["memory of the worker before", f"{before / MB:.0f} MB"],
        ["memory of the worker at its peak", f"{peak / MB:.0f} MB"],
    ]
    how = f"{effort.in_flight:,} connections, each call waits 1 s for the upstream. Memory is the resident set."
    return Findings(
        tables=[Table(f"{effort.in_flight:,} calls in flight", how, ("", ""), rows)],
        reaches=[
            Reach(f"{effort.in_flight:,} calls of 1 s in flight, failed", failed, 0, "", most=True),
            Reach("the same, memory of the worker", peak / MB, 250, "MB", most=True),
        ],
    )
