"""What the page's script makes of what changed is what the server would have sent whole."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from dashboard.deltas import Frame, delta
from tests.browser.visit import Visitor
from tests.dashboard.test_deltas import comparable, life

LAY = """async ([first, changes]) => {
  const { Frames } = await import("/static/dashboard/frames.js");
  const frames = new Frames();
  return [first, ...changes].map((frame) => structuredClone(frames.take(frame)));
}"""


def laid(visitor: Visitor, first: Frame, changes: list[Frame]) -> list[Any]:
    visitor.open("/dashboard/sign-in/")
    return list(visitor.page.evaluate(LAY, [first, changes]))


@pytest.mark.parametrize("name", ["overview", "tenant"])
def test_the_page_holds_the_same_as_the_server(visitor: Visitor, name: str) -> None:
    frames = list(life(name, seed=3, seconds=60))
    changes = [delta(before, now) for before, now in pairwise(frames)]
    for held, now in zip(laid(visitor, frames[0], changes), frames, strict=True):
        assert comparable(held) == comparable(now)


def test_after_a_gap_there_is_nothing_until_the_next_whole_frame(visitor: Visitor) -> None:
    one, two, three, four = life("overview", seed=4, seconds=4)
    missed = [delta(two, three), delta(three, four), four]
    assert [held and held["seq"] for held in laid(visitor, one, missed)] == [1, None, None, 4]
