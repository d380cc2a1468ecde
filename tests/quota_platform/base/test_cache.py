"""Entries of Django's cache: JSON of any release, and many written at once."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from django.core.cache import cache
from django_redis.exceptions import ConnectionInterrupted

from quota_platform.base.cache import CacheClient, JsonSerializer
from tests.patience import HANG_S

pytestmark = pytest.mark.usefixtures("redis_url")
KEPT_S = 600
ODD = {"long": 2**70, "half": "\ud83d", "tuple": (1, 2), "text": "ü", "none": None, "numbers": {"1": 1.5}}


@pytest.fixture(autouse=True)
def _empty() -> None:
    cache.clear()


def test_many_entries_are_written_at_once_and_end_after_their_time() -> None:
    cache.set_many({"a": {"x": 1}, "b": [1, "ü"]}, timeout=KEPT_S)
    cache.set_many({"stays": 1}, timeout=None)
    assert cache.get_many(["a", "b", "stays", "c"]) == {"a": {"x": 1}, "b": [1, "ü"], "stays": 1}
    assert KEPT_S - HANG_S < cast(Any, cache).ttl("a") <= KEPT_S and cast(Any, cache).ttl("stays") is None


def test_entries_written_at_once_without_a_time_end_after_the_default_one() -> None:
    cache.set_many({"a": 1})
    assert 0 < cast(Any, cache).ttl("a") <= 300


def test_the_previous_releases_entries_are_read_and_it_reads_ours() -> None:
    plain = json.loads(json.dumps(ODD))
    assert JsonSerializer({}).loads(json.dumps(ODD).encode()) == plain
    assert json.loads(JsonSerializer({}).dumps(ODD).decode()) == plain


def test_entries_that_cannot_be_written_are_a_fault_of_the_cache() -> None:
    with pytest.raises(ConnectionInterrupted):
        CacheClient("redis://127.0.0.1:1/0", {}, cache).set_many({"a": 1}, timeout=KEPT_S)
