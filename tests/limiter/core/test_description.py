"""A stack's limits as text and back."""

from __future__ import annotations

import pytest

from limiter.core import description
from limiter.core.types import CountedPer, Limit
from limiter.core.versioned import Newer
from tests.limiter.core.given import S


def test_a_description_is_read_back_whatever_the_name_of_the_policy() -> None:
    hostile = "Gold; v2 | 100 % \n|1|x;day"
    limits = [
        Limit("minute", "sliding_log", 600, 60 * S, policy_name=hostile, policy_version=7),
        Limit(
            "burst",
            "token_bucket",
            17,
            60 * S,
            burst=250,
            counted_per=CountedPer.CONNECTION,
            shadow=True,
            adaptive=False,
            policy_name="Plan",
            policy_version=12,
        ),
    ]
    one, two = description.read(description.write(limits))
    assert (one.name, one.policy_name, one.policy_version, one.quota) == ("minute", hostile, 7, 600)
    assert (one.algorithm, one.counted_per, one.window_us) == ("sliding_log", "action", 60 * S)
    assert (one.shadow, one.adaptive) == (False, True)
    assert (two.burst, two.counted_per, two.shadow, two.adaptive) == (250, "connection", True, False)


def test_no_limits_are_no_text() -> None:
    assert description.read(description.write([])) == []


@pytest.mark.parametrize(
    "text", ["minute", "minute|Gold|7", "m|P|x|sliding_log|action|1|1|0|0|1", ";", "a|b|1|NO <b>|action|1|1|0|0|1"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        description.read(text)


def test_a_newer_release_s_words_and_parts_are_read_as_far_as_they_are_understood() -> None:
    (limit,) = description.read("m|Gold|7|leaky_bucket|country|5|60|0|0|1|and|more")
    assert (limit.algorithm, limit.counted_per, limit.quota, limit.adaptive) == ("leaky_bucket", "country", 5, True)
    with pytest.raises(Newer):
        description.read("=2=m Gold")
