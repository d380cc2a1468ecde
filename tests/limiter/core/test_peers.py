"""How many processes share a limit: a process's view of the others while the store is unavailable."""

from __future__ import annotations

import pytest

from limiter.core.peers import SETTLED, Peers


def heard(*living: int, expected: int = 0) -> Peers:
    peers = Peers(expected=expected)
    for count in living:
        peers.heard(count)
    return peers


@pytest.mark.parametrize(
    ("living", "expected", "share"),
    [
        ((), 0, 1),
        ((3,) * (SETTLED - 1), 0, 1),
        ((3,) * SETTLED, 0, 33),
        ((3,) * SETTLED, 4, 25),
        ((), 4, 25),
        ((3, 3, 4, 3), 0, 25),
        ((300,) * SETTLED, 0, 1),
    ],
    ids=[
        "one that knows nothing admits one unit",
        "one that nobody may have counted yet admits one unit",
        "one of three",
        "never fewer than are expected",
        "one with nothing but the expected number",
        "one of them left",
        "more processes than units",
    ],
)
def test_the_share_of_a_hundred_units(living: tuple[int, ...], expected: int, share: int) -> None:
    assert heard(*living, expected=expected).share(100) == share


def test_a_process_that_left_is_counted_for_six_hundred_beats_more() -> None:
    peers = heard(2, *[1] * 599)
    assert peers.known == 2
    peers.heard(1)
    assert peers.known == 1
