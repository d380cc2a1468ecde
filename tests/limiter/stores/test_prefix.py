"""Several deployments on one server: each name starts with its deployment's prefix, and none meets another's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from limiter.core import keys
from limiter.core.window import Call
from limiter.stores import prefix
from tests.limiter.core.given import log, stack, store_at


@pytest.fixture(autouse=True)
def no_prefix_afterwards() -> Iterator[None]:
    yield
    prefix.use("")


def test_without_a_prefix_keys_are_those_of_earlier_releases() -> None:
    assert (keys.workers(), keys.events(7)) == ("q:workers", "q:{c7}:events")


async def test_two_deployments_on_one_server_count_apart(redis_url: str) -> None:
    decided = []
    for name in ("here:", "there:", "here:"):
        prefix.use(name)
        store = store_at(redis_url)
        decided.append((await store.decide(stack(log(1)), Call("d"))).allowed)
        await store.close()
    assert decided == [True, True, False]


def test_braces_in_a_prefix_are_refused_since_they_would_move_the_hash_tag() -> None:
    with pytest.raises(ValueError, match="braces"):
        prefix.use("{here}:")
