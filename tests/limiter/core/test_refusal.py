"""A refusal's text, without a store. What the script writes is read in test_record_of_decisions.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limiter.core import refusal
from limiter.core.refusal import Refusal

NAMES = st.text(st.sampled_from("ab9._-"), min_size=1)
TEXT = "7|0|1|800000|2|acme|lookupOrder|01J|k1|r|7\n1,2,-1,4\nminute|Gold\n|7"


@given(
    st.builds(
        Refusal,
        *(st.integers(0, 2**53), st.integers(0), st.booleans(), st.integers(0), st.integers(1)),
        *(NAMES, NAMES, NAMES, st.text(st.sampled_from("ab9")), NAMES),
        states=st.lists(st.integers(-1, 2**53)).map(tuple),
        limits=st.text(),
    )
)
def test_a_description_is_read_back(data: Refusal) -> None:
    assert refusal.read(refusal.write(data)) == data


def test_whatever_stands_in_a_request_s_id_or_a_policy_s_name_is_kept() -> None:
    data = refusal.read(TEXT)
    assert (data.key_prefix, data.request_id, data.limits) == ("k1", "r|7", "minute|Gold\n|7")
    assert (data.at_us, data.shadow, data.multiplier_ppm, data.states) == (7, True, 800_000, (1, 2, -1, 4))


@pytest.mark.parametrize("text", ["", "soon", "a\nb", TEXT.replace("1,2", "1,,2"), TEXT.replace("|2|acme", "")])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        refusal.read(text)
