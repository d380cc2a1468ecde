"""What the gateway adds to a call when nothing else goes on, in turn with calling the upstream itself."""

from __future__ import annotations

from tests.bench.contenders.contender import ALLOWED
from tests.bench.effort import Effort
from tests.bench.findings import Findings, Reach, Table
from tests.bench.load import Load, Target, run
from tests.bench.stage import Stage

_BLOCK = 250


def measure(stage: Stage, effort: Effort) -> Findings:
    direct = Target(stage.rig.upstream_port, "/webactions/instant/invoke")
    through = stage.contenders["gateway"].targets[ALLOWED]
    seen = {"upstream called directly": Load(), "through this gateway": Load()}
    for _ in range(effort.low_load_calls // _BLOCK):
        for load, target in zip(seen.values(), (direct, through), strict=True):
            block = run(target, connections=1, seconds=30, most=_BLOCK)
            load.latencies_ms += block.latencies_ms
            load.broken += block.others(200)
    rows = [
        [label, f"{load.percentile_ms(50):.2f} ms", f"{load.percentile_ms(99):.2f} ms", str(load.broken)]
        for label, load in seen.items()
    ]
    p50, p99 = (_added(seen, percent) for percent in (50, 99))
    rows.append(["added", f"{p50:.2f} ms", f"{p99:.2f} ms", ""])
    how = f"One connection, one call after the other, blocks of {_BLOCK} calls in turn, {effort.low_load_calls:,} each."
    return Findings(
        tables=[Table("Latency added at low load", how, ("Call", "p50", "p99", "failed"), rows)],
        reaches=[
            Reach("latency added at low load, p50", p50, 1.0, "ms", most=True),
            Reach("latency added at low load, p99", p99, 5.0, "ms", most=True),
        ],
    )


def _added(seen: dict[str, Load], percent: float) -> float:
    direct, through = (load.percentile_ms(percent) for load in seen.values())
    return through - direct
