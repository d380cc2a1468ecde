"""What the first call of a tenant costs that the worker does not hold: its key, itself and its policies are loaded."""

from __future__ import annotations

from tests.bench.contenders import gateway
from tests.bench.contenders.contender import ALLOWED
from tests.bench.effort import Effort
from tests.bench.findings import Findings, Reach, Table
from tests.bench.load import Target, run
from tests.bench.stage import Stage

GOAL_MS = 2.0


def measure(stage: Stage, effort: Effort) -> Findings:
    """Each tenant of ``effort.cold_tenants`` calls once; then the same ones again, who are held by then."""
    server = stage.contenders["gateway"].server
    target = stage.contenders["gateway"].targets[ALLOWED]
    (tokens,) = gateway.make(stage.rig, server.env, f"rows.crowd({effort.cold_tenants})")
    target = Target(target.port, target.path, each=[{"X-API-Key": token} for token in tokens])
    rows, costs, failed = [], {}, 0
    for name in ("first call, tenant not in memory", "second call, tenant in memory"):
        cpu = server.cpu_s()
        load = run(target, connections=effort.connections, seconds=120.0, most=len(tokens))
        costs[name] = (server.cpu_s() - cpu) / max(1, load.answered) * 1e3
        failed += load.others(200)
        rate = load.answered / max(1e-9, load.seconds)
        p99 = f"{load.percentile_ms(99):,.0f} ms"
        rows.append([name, f"{costs[name]:.2f} ms", f"{1e3 / costs[name]:,.0f}", f"{rate:,.0f}", p99])
    how = (
        f"{effort.cold_tenants:,} tenants, each with a key of its own, on SQLite; {effort.connections} connections;"
        f" failed: {failed}."
    )
    columns = ("Call", "server CPU per call", "calls per CPU second", "calls/s", "p99")
    cold, _ = costs.values()
    return Findings(
        tables=[Table("Cold tenants", how, columns, rows)],
        reaches=[
            Reach("processor time of a cold tenant's first call", cold, GOAL_MS, "ms", next_goal=1.0, most=True),
            Reach("cold tenants' calls that failed", failed, 0, "", most=True),
        ],
    )
