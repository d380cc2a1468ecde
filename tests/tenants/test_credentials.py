"""An API key says by itself whether it was mistyped, and to this platform whether it was made here."""

from __future__ import annotations

import re
import zlib

import pytest
from pytest_django import Settings

from tenants import credentials

OLD = "qk_aaaaaaaaaaaa_" + "A" * 43


def test_a_key_carries_a_checksum_and_a_mark() -> None:
    made = credentials.make()
    assert re.fullmatch(r"qk_[a-z0-9]{12}_[A-Za-z0-9_-]{43}[A-Za-z0-9]{12}", made.token)
    assert credentials.prefix_of(made.token) == made.prefix
    assert credentials.is_intact(made.token) and credentials.is_marked(made.token)


def test_the_checksum_is_one_that_anybody_can_compute() -> None:
    token = credentials.make().token
    number = 0
    for letter in token[-6:]:
        number = number * 62 + "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ".index(letter)
    assert number == zlib.crc32(token[:-6].encode())


@pytest.mark.parametrize("place", [3, 20, 58, 59, 64, 65, 70])
def test_a_mistyped_character_anywhere_is_seen(place: int) -> None:
    token = credentials.make().token
    wrong = "a" if token[place] != "a" else "b"
    assert not credentials.is_intact(token[:place] + wrong + token[place + 1 :])


class Digest(str):
    """One that nobody may compare but from end to end."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("an early end tells how much was right")

    __hash__ = str.__hash__


def test_a_key_is_compared_in_a_time_that_does_not_tell_how_much_of_it_was_right() -> None:
    made = credentials.make()
    assert credentials.matches(made.token, Digest(made.digest))
    for wrong in (made.token[:-1] + "!", "!" + made.token[1:], ""):
        assert not credentials.matches(wrong, Digest(made.digest))


def test_an_old_key_has_nothing_to_check() -> None:
    assert credentials.prefix_of(OLD) == "a" * 12
    assert credentials.is_intact(OLD) and not credentials.is_marked(OLD)


def test_a_key_with_a_right_checksum_that_another_platform_made_is_not_marked(settings: Settings) -> None:
    token = credentials.make().token
    forged = OLD + "A" * 6
    forged += credentials.checksum(forged)
    assert credentials.is_intact(forged) and not credentials.is_marked(forged)
    settings.SECRET_KEY = "another-" * 8
    assert credentials.is_intact(token) and not credentials.is_marked(token)


@pytest.mark.parametrize(
    "token", ["", "qk_", OLD[:-1], OLD + "A", OLD + "A" * 11, OLD + "A" * 13, OLD + "_" * 12, "Ä" * 59]
)
def test_a_text_of_another_shape_is_no_key(token: str) -> None:
    assert credentials.prefix_of(token) is None
