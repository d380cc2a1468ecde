"""Twice as many calls as one worker can serve, from callers who do not wait for each other: the served share."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator

from tests.bench import load, open_loop
from tests.bench.contenders import gateway
from tests.bench.contenders.contender import ALLOWED, Contender
from tests.bench.effort import Effort
from tests.bench.findings import TIMES, Findings, Reach, Table
from tests.bench.stage import Stage

MB = 1024 * 1024
TIMES_CAPACITY = 2
IN_TIME_MS = 1_000
"""What comes later counts as lost: its caller has given up."""
CONNECTIONS = 256
"""The worker's bound for the callers' address: a call waits behind at most so many. They have four times as many."""
SIGN_IN = "/accounts/sign-in/"
_PAGE = "200"
_GIVES_UP_S = 30.0
_DATABASE = 4


def measure(stage: Stage, effort: Effort) -> Findings:
    with _bounded(stage) as contender:
        target, server = contender.targets[ALLOWED], contender.server
        load.run(target, connections=effort.connections, seconds=effort.warm_seconds)
        before, before_us = _closed(contender, effort)
        server.forget_rss_peak()
        held, cpu_s = server.rss_peak_bytes(), server.cpu_s()
        with _visits(target.port) as (visits, otherwise):
            offered = open_loop.run(
                target,
                per_second=TIMES_CAPACITY * before.per_second,
                seconds=effort.overload_seconds,
                most=4 * CONNECTIONS,
            )
        cpu_s = server.cpu_s() - cpu_s
        grown = server.rss_peak_bytes() - held
        after, after_us = _closed(contender, effort)
    goodput = offered.goodput(within_ms=IN_TIME_MS)
    alone_us = statistics.mean([before_us, after_us])
    overload_us = cpu_s / max(1.0, goodput * offered.seconds) * 1e6
    share = alone_us / overload_us
    turned_away = sum(count for status, count in offered.statuses.items() if status != 200) + offered.broken
    rows = [
        ["served in a closed loop, before and after", f"{before.per_second:,.0f}/s, {after.per_second:,.0f}/s"],
        ["offered in the open loop", f"{offered.calls / offered.seconds:,.0f}/s for {offered.seconds:.0f} s"],
        [f"served within {IN_TIME_MS / 1000:g} s", f"{goodput:,.0f}/s"],
        ["p50, p99 of the calls served", f"{offered.percentile_ms(50):,.0f} ms, {offered.percentile_ms(99):,.0f} ms"],
        ["turned away (429)", f"{turned_away / offered.seconds:,.0f}/s"],
        ["p99 of that", f"{load.percentile(offered.turned_away_ms, 99):,.0f} ms"],
        ["not sent by the generator", f"{offered.unsent / offered.seconds:,.0f}/s"],
        ["server CPU for a call served, in the closed loop", f"{alone_us:,.0f} µs"],
        ["the same in the open loop, with the calls turned away", f"{overload_us:,.0f} µs"],
        ["memory of the worker, growth", f"{grown / MB:.1f} MB"],
        ["sign-in page meanwhile, slowest of " + str(len(visits)), f"{max(visits, default=0):.2f} s"],
        [
            "sign-in page answered otherwise",
            ", ".join(f"{how}: {count}" for how, count in otherwise.items()) or "never",
        ],
    ]
    how = (
        f"One worker for calls, beside one for pages, with MAX_CONNECTIONS_PER_ADDRESS={CONNECTIONS};"
        f" callers with up to {4 * CONNECTIONS:,} connections call"
        f" {TIMES_CAPACITY} times as often as it served {effort.connections} callers who wait for each response."
        " Generator, store and upstream share the machine with it."
    )
    return Findings(
        tables=[Table("Twice the capacity", how, ("", ""), rows)],
        reaches=[
            Reach(
                "processor time that goes into calls served in time, at twice the capacity",
                share,
                0.7,
                TIMES,
                next_goal=0.8,
            ),
            Reach(
                "sign-in page meanwhile, slowest",
                max(visits, default=effort.overload_seconds),
                5.0,
                "s",
                next_goal=2.0,
                most=True,
            ),
        ],
    )


def _closed(contender: Contender, effort: Effort) -> tuple[load.Load, float]:
    """Callers who wait for their responses; the processor time of the server for a call (µs)."""
    used = contender.server.cpu_s()
    seen = load.run(contender.targets[ALLOWED], connections=effort.connections, seconds=effort.seconds)
    return seen, (contender.server.cpu_s() - used) / max(1, seen.answered) * 1e6


@contextlib.contextmanager
def _bounded(stage: Stage) -> Iterator[Contender]:
    """A worker of its own, with fewer connections than its callers have."""
    directory = stage.rig.directory / "overload"
    directory.mkdir()
    redis_url = f"{stage.rig.redis_url.removesuffix('/0')}/{_DATABASE}"
    own = dataclasses.replace(stage.rig, directory=directory, redis_url=redis_url)
    settings = {"MAX_CONNECTIONS_PER_ADDRESS": str(CONNECTIONS), "TRUSTED_PROXIES": "", "PAGES_WORKERS": "1"}
    contender = gateway.start(own, settings=settings)
    try:
        contender.server.wait_until_listening()
        yield contender
    finally:
        contender.server.stop()


@contextlib.contextmanager
def _visits(port: int) -> Iterator[tuple[list[float], Counter[str]]]:
    """A person elsewhere who opens the sign-in page each second.

    The seconds of the visits that got the page, and the outcomes of the others; raises RuntimeError when the page
    is not there before any load either.
    """
    took: list[float] = []
    otherwise: Counter[str] = Counter()
    over = threading.Event()

    def visit() -> None:
        while not over.wait(1):
            started = time.perf_counter()
            outcome = _open(port)
            if outcome == _PAGE:
                took.append(time.perf_counter() - started)
            else:
                otherwise[outcome] += 1

    if (outcome := _open(port)) != _PAGE:  # the first visit of all reads templates
        raise RuntimeError(f"the sign-in page is not at {SIGN_IN}: {outcome}")
    person = threading.Thread(target=visit)
    person.start()
    try:
        yield took, otherwise
    finally:
        over.set()
        person.join()


def _open(port: int) -> str:
    """The status that a visit ends with, or the name of its error."""
    connection = http.client.HTTPConnection("127.0.0.1", port, source_address=("127.0.0.2", 0), timeout=_GIVES_UP_S)
    with contextlib.closing(connection) as person:
        try:
            person.request("GET", SIGN_IN)
            return str(person.getresponse().status)
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__
