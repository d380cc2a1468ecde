"""The responses to what no application hears of."""

from __future__ import annotations

import asyncio
import re

from quota_platform.base.lean.problem import Problem
from quota_platform.server import rejection
from quota_platform.server.guard import Guard
from quota_platform.server.limits import Limits
from tests.quota_platform.server.wire import echo, served

FULL = Problem(429, "too-many-connections", "At most 2 connections at a time.", retry_after_s=1)
DATED = [(b"date", b"Sat, 28 Nov 2026 22:00:00 GMT")]
_ID = re.compile(rb"[0-9a-f]{24}")


def test_connections_that_are_turned_away_get_the_usual_response_made_once_for_many() -> None:
    usual = rejection.response(FULL, DATED)
    rejection._for_many.cache_clear()

    many = [rejection.at_once(FULL, DATED) for _ in range(100)]

    assert {_ID.sub(b"-", each) for each in many} == {_ID.sub(b"-", usual)}
    assert len({_ID.findall(each)[0] for each in many}) == 100
    assert all(len(set(_ID.findall(each))) == 1 for each in many), "header and document name the same request"
    assert rejection._for_many.cache_info().misses == 1


def test_a_new_date_or_detail_is_a_new_response() -> None:
    later = [(b"date", b"Sat, 28 Nov 2026 22:00:01 GMT")]
    other = Problem(429, "too-many-connections", "At most 9 connections at a time.", retry_after_s=1)
    assert b"22:00:01" in rejection.at_once(FULL, later)
    assert b"At most 9" in rejection.at_once(other, DATED)


async def test_a_caller_that_is_turned_away_may_close_its_side_first() -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    async with served(echo, guard=Guard(Limits(max_connections=0))) as (connect, _):
        wire = await connect()
        wire.end()
        assert (await wire.rest()).startswith(b"HTTP/1.1 503 ")
    assert faults == []
