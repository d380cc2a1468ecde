"""A call that a worker has given up, and decided by itself, is not counted once more when its store wakes up."""

from __future__ import annotations

import asyncio
import signal

import redis

from limiter.core import keys
from limiter.core.due import Due
from limiter.core.store import Store
from limiter.core.window import Call
from limiter.stores.errors import StoreOutcomeUnknown
from limiter.stores.pipeline import Address
from limiter.stores.pool import PoolSettings, StorePool
from quota_platform.embedded import Valkey
from tests.limiter.core.given import ACME, S, log, stack
from tests.patience import until

GIVE_UP_MS = 400


def decisions_run(client: redis.Redis) -> int:
    """How many scripts the store has run since it started."""
    return int(client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


async def test_calls_that_a_frozen_store_finds_when_it_wakes_are_not_counted(valkey: Valkey) -> None:
    store = Store(StorePool(Address.from_url(valkey.url), PoolSettings(timeout_ms=GIVE_UP_MS)), give_up_ms=GIVE_UP_MS)
    await store.open()
    bound = stack(log(1000, window_us=3600 * S))
    with redis.Redis.from_url(valkey.url, decode_responses=True) as client:
        for number in range(5):
            assert (await store.decide(bound, Call(f"in-time-{number}"))).allowed
        before = decisions_run(client)
        valkey.process.send_signal(signal.SIGSTOP)
        late = (store.decide(bound, Call(f"late-{number}")) for number in range(50))
        outcomes = await asyncio.gather(*late, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {StoreOutcomeUnknown}
        valkey.process.send_signal(signal.SIGCONT)
        until(lambda: decisions_run(client) == before + 50, what="the store to find its commands")
        assert client.hget(keys.totals(ACME.connection), f"{ACME.tenant}|allowed") == "5"
        assert client.llen(bound.window_of(bound.limits[0])) == 5
    await store.close()


def test_the_instant_is_never_after_the_worker_has_given_up_whatever_the_way_back_took() -> None:
    due, ahead_us = Due(give_up_us=250_000), 7 * S
    for received_us, way_back_us in ((0, 90_000), (1_000, 300), (2_000, 40_000)):
        due.heard(1, ahead_us + received_us - way_back_us, received_us)
    given_up_us = 5_000 + 250_000 + ahead_us
    at_us = due.at(1, 5_000)
    assert at_us is not None and given_up_us - 11_000 < at_us < given_up_us
    assert due.at(2, 5_000) is None, "another connection may have another store"


def test_a_store_whose_clock_was_set_back_is_followed() -> None:
    due = Due(give_up_us=250_000)
    due.heard(1, 60 * S, 0)
    for second in range(0, 31, 5):
        due.heard(1, (second - 30) * S, second * S)
    at_us = due.at(1, 31 * S)
    assert at_us is not None and at_us < 2 * S
