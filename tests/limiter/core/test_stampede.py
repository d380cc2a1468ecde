"""A stampede: four processes of a hundred calls each, all at once, and exactly the limit is admitted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import redis

from limiter.core import keys
from limiter.core.types import Limit
from tests.environment import VALKEY
from tests.limiter.core.given import ACME
from tests.limiter.core.stampede import CROWDS
from tests.patience import HANG_S

PROCESSES, CALLS = 4, 100
Process = subprocess.Popen[str]


@pytest.fixture(scope="module")
def processes() -> Iterator[list[Process]]:
    """Four workers that wait for the start."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.limiter.core.stampede", VALKEY.url, str(number), str(CALLS)],
            cwd=Path(__file__).parents[3],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    assert [response(process) for process in started] == ["ready"] * PROCESSES
    yield started
    for process in started:
        process.communicate("\n", timeout=HANG_S)


def response(process: Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def rush(processes: list[Process], crowd: str) -> tuple[int, int]:
    """All processes at once: how many calls were admitted and refused."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(crowd + "\n")
        process.stdin.flush()
    responses = [[int(count) for count in response(process).split()] for process in processes]
    return sum(admitted for admitted, _ in responses), sum(refused for _, refused in responses)


def counted(raw: redis.Redis, limit: Limit) -> int:
    """The units in the store, as plain commands see them."""
    key = keys.window(limit, ACME)
    match limit.algorithm:
        case "sliding_log":
            return raw.llen(key)
        case "sliding_counter":
            return int(cast(bytes, raw.hget(key, "n")))
        case "token_bucket":
            debt, _, window_us = cast(bytes, raw.get(key)).split()
            return -(-int(debt) // int(window_us))
        case _:
            return raw.zcard(key)


@pytest.mark.parametrize("crowd", CROWDS)
def test_exactly_the_limit_is_admitted(processes: list[Process], raw: redis.Redis, crowd: str) -> None:
    limits, cost = CROWDS[crowd]
    assert rush(processes, crowd) == (100, 300)
    expected = [100 if limit.algorithm == "concurrency" else 100 * cost for limit in limits]
    assert [counted(raw, limit) for limit in limits] == expected
    assert raw.hget(keys.totals(1), "acme|allowed") == b"100"
    assert raw.hget(keys.totals(1), "acme|refused") == b"300"
    kinds = cast(dict[bytes, bytes], raw.hgetall(keys.floods(1)))
    assert sum(int(count) for kind, count in kinds.items() if not kind.endswith(b"|last")) == 300
