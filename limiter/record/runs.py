"""Periodic tasks: one run at a time of each, and how the last one went, for all to see."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from redis.exceptions import LockNotOwnedError
from redis.lock import Lock

from limiter import clients
from limiter.core import keys, versioned
from limiter.core.versioned import Form
from limiter.record.scripts import Client

_KEEP_S = 604_800


@dataclass(frozen=True, slots=True)
class Run:
    """How a run went. ``at``: when it ended (epoch seconds). ``done``: how many things it did."""

    at: float
    ok: bool
    took_ms: float
    done: int = 0
    error: str = ""


def _run(data: Any) -> Run:
    rest = versioned.filled(data, {"took_ms": 0.0, "done": 0, "error": ""})
    return Run(at=float(data["at"]), ok=bool(data["ok"]), **rest)


FORM = Form("run", {1: _run}, lenient=True)
"""Add no field as long as workers of the first release run: they accept these only."""


def alone(name: str, work: Callable[[Client], int], *, at_most_s: int) -> int | None:
    """:func:`run_alone` with a client of the store for as long as the work takes."""
    client = clients.client()
    try:
        return run_alone(client, name, lambda: work(client), at_most_s=at_most_s)
    finally:
        client.close()


def run_alone(client: Client, name: str, work: Callable[[], int], *, at_most_s: int) -> int | None:
    """Do the work unless it is being done; None if it is. A run that died gives way after ``at_most_s``."""
    lock = Lock(client, keys.running(name), timeout=at_most_s, blocking=False)
    if not lock.acquire():
        return None
    started = time.perf_counter()
    done, error = 0, ""
    try:
        done = work()
        return done
    except Exception as failure:
        error = type(failure).__name__
        raise
    finally:
        took_ms = (time.perf_counter() - started) * 1000
        _report(client, name, Run(time.time(), ok=not error, took_ms=round(took_ms, 1), done=done, error=error))
        with contextlib.suppress(LockNotOwnedError):  # it took too long, and another has begun
            lock.release()


def _report(client: Client, name: str, run: Run) -> None:
    client.hset(keys.tasks(), name, FORM.dump(asdict(run)))
    client.expire(keys.tasks(), _KEEP_S)


def read(data: Any) -> dict[str, Run]:
    """The last run of each task that can be read, from the fields of ``keys.tasks()``."""
    runs = ((_text(name), FORM.load_or_none(run)) for name, run in sorted(data.items()))
    return {name: run for name, run in runs if run is not None}


def last(client: Client) -> dict[str, Run]:
    """The last run of each task."""
    return read(client.hgetall(keys.tasks()))


def _text(name: bytes | str) -> str:
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name
