"""The packed form of demand: nothing lost, small, and readable by later releases."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from limiter.core.versioned import Newer, Unreadable
from limiter.demand import packed
from limiter.demand.points import Calls, Demand, Level
from tests.limiter.demand.given import LOOK_UP, SECOND, a_minute, busy

VERSION_1 = Path(__file__).with_name("version_1.hex")


@pytest.mark.parametrize("demand", [a_minute(), busy(3, 3_600), Demand()], ids=["a minute", "an hour", "nothing"])
def test_a_block_holds_exactly_what_was_packed(demand: Demand) -> None:
    data = packed.pack(demand, start=SECOND, step_s=1)
    assert packed.unpack(data, start=SECOND, step_s=1) == demand


@pytest.mark.parametrize("demand", [a_minute(), busy(3, 120), Demand()])
def test_the_units_of_a_block_are_those_of_its_calls(demand: Demand) -> None:
    found = packed.units(packed.pack(demand, start=SECOND, step_s=1), start=SECOND, step_s=1)
    expected = {
        action: {second: calls.units for second, calls in of.items()} for (action, _), of in demand.calls.items()
    }
    assert {action: dict(zip(seconds, units, strict=True)) for action, seconds, units in found} == expected


def test_blocks_of_the_first_version_are_read_by_every_later_release() -> None:
    data = bytes.fromhex(VERSION_1.read_text())
    assert (data[0], packed.unpack(data, start=SECOND, step_s=1)) == (1, a_minute())


def test_an_hour_takes_a_few_bytes_for_each_active_second() -> None:
    assert len(packed.pack(busy(4, 3_600), start=SECOND, step_s=1)) < 10 * 4 * 3_600


def test_a_block_of_a_newer_version_is_refused_and_one_that_is_cut_off_too() -> None:
    data = packed.pack(a_minute(), start=SECOND, step_s=1)
    with pytest.raises(Newer):
        packed.unpack(b"\x02" + data[1:], start=SECOND, step_s=1)
    for broken in (b"", data[:1], data[:20], b"\x01\x07" + data[2:]):
        with pytest.raises(Unreadable):
            packed.unpack(broken, start=SECOND, step_s=1)


def test_sections_and_columns_of_a_newer_release_are_left_out() -> None:
    name = b"".join(bytes((len(part),)) + part.encode() for part in LOOK_UP)
    columns = bytes((2, 0, 1, 5, 99, 1, 7))  # two: the first, of one byte, is 5; the hundredth is 7
    series = name + struct.pack("<HH", 1, 30) + columns
    body = struct.pack("<BI", 1, len(series)) + series + struct.pack("<BI", 9, 3) + b"new"
    found = packed.unpack(b"\x01\x00" + body, start=SECOND, step_s=1)
    assert found == Demand({LOOK_UP: {SECOND + 30: Calls(allowed=5, units=5)}})


def test_two_sources_of_the_same_calls_cover_each_other_and_two_parts_of_them_add_up() -> None:
    one = Demand({LOOK_UP: {1: Calls(allowed=2), 2: Calls(refused=1)}}, {("", "minute"): {1: Level(5, 9, 9, 1)}})
    other = Demand({LOOK_UP: {1: Calls(allowed=3)}}, {("", "minute"): {1: Level(4, 8, 9, 2)}})
    added, covered = Demand(), Demand()
    for each in (one, other):
        added.add(each)
        covered.cover(each)
    assert added.calls[LOOK_UP] == {1: Calls(allowed=5), 2: Calls(refused=1)}
    assert added.limits["", "minute"] == {1: Level(5, 9, 9, 3)}
    assert covered.calls[LOOK_UP] == {1: Calls(allowed=3), 2: Calls(refused=1)}
    assert covered.limits["", "minute"] == {1: Level(5, 9, 9, 2)}


def test_calls_that_waited_came_when_they_came() -> None:
    assert Calls(allowed=5, refused=1, waited=2).came == 4
    assert Calls(waits=2).came == 2


@pytest.mark.parametrize("every_s", [5, 60, 420, 3_600])
def test_a_block_read_by_longer_spans_is_the_same_as_its_seconds_joined(every_s: int) -> None:
    for demand in (a_minute(), busy(2, 3_600)):
        data = packed.pack(demand, start=SECOND, step_s=1)
        assert packed.unpack(data, start=SECOND, step_s=1, every_s=every_s) == demand.every(every_s)
