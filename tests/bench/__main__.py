"""The command line: sets the stage, takes the measurements one after the other, writes each as it is done.

A measurement is a function of the stage and the effort that returns findings, and a line in one of the tables below.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from quota_platform.env import BASE_DIR
from tests.bench import (
    cold_tenants,
    decisions,
    drain,
    exports,
    in_flight,
    key_timing,
    low_load,
    machine,
    mass_expiry,
    overload,
    record_cost,
    rejections,
    report,
    round_trips,
    sharing,
    side_by_side,
    store_memory,
    viewers,
    waits,
    worker_memory,
)
from tests.bench.contenders import nginx
from tests.bench.effort import FULL, QUICK, Effort
from tests.bench.findings import Findings
from tests.bench.stage import START, Stage, running

DOCUMENT = BASE_DIR / "docs" / "benchmarks.md"
Measurement = Callable[[Stage, Effort], Findings]

OF_ALL: dict[str, Measurement] = {
    "allowed": side_by_side.ALLOWED_CALL.measure,
    "refused": side_by_side.REFUSED_CALL.measure,
    "slow_upstream": side_by_side.SLOW_UPSTREAM.measure,
}
OF_THE_GATEWAY: dict[str, Measurement] = {
    "low_load": low_load.measure,
    "round_trips": round_trips.measure,
    "in_flight": in_flight.measure,
    "rejections": rejections.measure,
    "cold_tenants": cold_tenants.measure,
    "overload": overload.measure,
}
OF_THE_CORE: dict[str, Measurement] = {
    "decisions": decisions.measure,
    "waits": waits.measure,
    "sharing": sharing.measure,
    "store_memory": store_memory.measure,
    "mass_expiry": mass_expiry.measure,
    "worker_memory": worker_memory.measure,
    "key_timing": key_timing.measure,
}
OF_THE_PAGES: dict[str, Measurement] = {"viewers": viewers.measure}
OF_THE_RECORD: dict[str, Measurement] = {
    "drain": drain.measure,
    "record_cost": record_cost.measure,
    "exports": exports.measure,
}
EVERYTHING = OF_ALL | OF_THE_GATEWAY | OF_THE_CORE | OF_THE_PAGES | OF_THE_RECORD


def main() -> None:
    arguments = _arguments()
    effort = QUICK if arguments.quick else FULL
    _allow_many_sockets()
    names, missing = _contenders(arguments.contenders)
    print(f"==> {machine.facts()['Python']}", file=sys.stderr)
    with running(names) as stage:
        for name in arguments.measure:
            if name in OF_THE_GATEWAY and "gateway" not in names:
                continue
            section = _section(name, stage, effort, notes=missing if name in OF_ALL else [])
            print(section, end="\n\n", flush=True)
            if not arguments.dry:
                report.put(arguments.out, name, section, order=list(EVERYTHING))


def _section(name: str, stage: Stage, effort: Effort, *, notes: list[str]) -> str:
    """Take one measurement; its part of the report, with the facts of this very run."""
    facts, load, started = machine.facts(), machine.load(), time.monotonic()
    print(f"==> {name}", flush=True, file=sys.stderr)
    found = EVERYTHING[name](stage, effort)
    print(f"    took {time.monotonic() - started:.0f} s", flush=True, file=sys.stderr)
    facts["Load before (1, 5, 15 min)"], facts["after"], facts["Effort"] = load, machine.load(), effort.name
    return report.render(facts, dataclasses.replace(found, notes=[*found.notes, *notes]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three minutes instead of twenty-five; noisier")
    parser.add_argument("--dry", action="store_true", help="print the report, write nothing")
    parser.add_argument("--out", type=Path, default=DOCUMENT, help="the document to write into")
    parser.add_argument("--contenders", nargs="+", choices=list(START), default=list(START))
    parser.add_argument("--measure", nargs="+", choices=list(EVERYTHING), default=list(EVERYTHING))
    return parser.parse_args()


def _contenders(wanted: list[str]) -> tuple[list[str], list[str]]:
    """Those that can run here, and a note on each that cannot."""
    if "nginx" in wanted and not nginx.available():
        left = [name for name in wanted if name != "nginx"]
        return left, ["nginx + Lua: nginx or its Lua module is not installed (Debian: nginx, libnginx-mod-http-lua)."]
    return wanted, []


def _allow_many_sockets() -> None:
    """Thousands of calls in flight need a socket each, here and twice in the gateway, which inherits this."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    main()
