"""What a connection learns and tenants share: a store that loses all of it, and another release on the same store."""

from __future__ import annotations

import heapq
import struct
from collections.abc import Iterable, Iterator

import pytest
import redis

from limiter.core import keys
from tests.limiter.core import test_learned_sharing, test_shared_pace
from tests.limiter.core.contending import Asked, Contention, paced
from tests.limiter.core.given import T0, S
from tests.limiter.core.test_learned_sharing import learn
from tests.limiter.core.test_shared_pace import hold, passed
from tests.limiter.core.test_slot_sharing import RUN, passed_and_made, running

LOST_S, UNTIL_S = 20, 60


def flood(rate: float, meek: float, *, from_s: float, until_s: float) -> Iterator[tuple[int, str, int]]:
    flows = [
        paced(name, per_s=each, from_s=from_s, until_s=until_s) for name, each in (("greedy", rate), ("meek", meek))
    ]
    return heapq.merge(*flows)


def most_at_once(asked: Iterable[Asked], *, from_s: float) -> int:
    """Calls that ran at the same time, as the upstream saw it."""
    began = [each.at_us for each in asked if each.allowed]
    return max(sum(at - RUN < other <= at for other in began) for at in began if at >= from_s * S)


def test_slots_of_a_learned_limit_are_shared_again_three_seconds_after_the_store_is_lost(
    redis_url: str, raw: redis.Redis
) -> None:
    """Calls in flight meanwhile are not known any more; once they have ended, no more run than was learned."""
    learn(raw, 10)
    with test_learned_sharing.contention(redis_url) as learning:
        list(learning.hold(running(flood(100, 4, from_s=0, until_s=LOST_S))))
        raw.flushall()
        learn(raw, 10)  # as the next report does
        asked = list(learning.hold(running(flood(100, 4, from_s=LOST_S, until_s=UNTIL_S))))
    assert all(each.used <= 10 for each in asked if each.allowed)
    assert most_at_once(asked, from_s=LOST_S + RUN / S) <= 10
    served, made = passed_and_made(asked, from_s=LOST_S + 3)
    assert served["meek"] >= made["meek"] - 2
    assert served["greedy"] >= 0.75 * (UNTIL_S - LOST_S - 3) * 50


def test_a_pace_is_shared_again_within_a_minute_of_losing_the_store(redis_url: str, raw: redis.Redis) -> None:
    per_minute, rate = 300, 5
    hold(raw, per_minute)
    with test_shared_pace.contention(redis_url) as pool:
        list(pool.ask(flood(10 * rate, 0.3 * rate, from_s=0, until_s=60)))
        raw.flushall()
        hold(raw, per_minute, at_s=60)
        asked = list(pool.ask(flood(10 * rate, 0.3 * rate, from_s=60, until_s=240)))
    minutes = [sum(begin <= each.at_us < begin + 60 * S for each in asked if each.allowed) for begin in begins(asked)]
    assert max(minutes) <= per_minute + 2
    meek = [each for each in asked if each.tenant == "meek" and each.at_us >= 120 * S]
    assert passed(meek)["meek"] >= len(meek) - 2
    assert sum(passed(asked).values()) >= 0.99 * rate * 180


def begins(asked: list[Asked]) -> range:
    return range(asked[0].at_us, asked[-1].at_us - 60 * S + 1, S)


# Another release ------------------------------------------------------------------------------------------------------


def in_turn(releases: dict[str, Contention], calls: Iterable[tuple[int, str, int]]) -> Iterator[tuple[str, Asked]]:
    """Each call is decided by the release that its tenant's name begins with."""
    for call in calls:
        release = call[1].partition("-")[0]
        yield release, next(iter(releases[release].ask([call])))


@pytest.mark.parametrize("per_minute", [60, 300])
def test_a_release_without_shares_and_this_one_keep_one_pace_together(
    redis_url: str, raw: redis.Redis, per_minute: int
) -> None:
    """The other one serves its calls in the order in which they come. This one divides the rest."""
    hold(raw, per_minute)
    rate, lasts_s = per_minute / 60, 12_000 / per_minute
    flows = [
        paced(name, per_s=rate * part, from_s=lag / 100, until_s=lasts_s)
        for lag, (name, part) in enumerate((("old-calls", 0.4), ("new-greedy", 10), ("new-meek", 0.2)))
    ]
    with (
        test_shared_pace.contention(redis_url, shared=False) as old,
        test_shared_pace.contention(redis_url) as new,
    ):
        asked = [each for _, each in in_turn({"old": old, "new": new}, heapq.merge(*flows))]
    served, made = passed(asked), sum(each.tenant == "new-meek" for each in asked)
    most_early = max(2, int(rate * 0.5))
    assert 0.98 * rate * lasts_s <= served.total() <= rate * lasts_s + most_early
    assert served["new-meek"] >= made - 2
    assert served["new-greedy"] > served["old-calls"] > 0


def test_sums_of_an_earlier_release_s_pool_are_read_as_they_are(redis_url: str, raw: redis.Redis) -> None:
    """It wrote three of them, and did not note when a unit was charged last."""
    hold(raw, 300)
    rate = 5
    with test_shared_pace.contention(redis_url) as pool:
        list(pool.ask(flood(10 * rate, 0.3 * rate, from_s=0, until_s=90)))
        sums = raw.hget(keys.pace_shares(1), "")
        assert isinstance(sums, bytes)
        raw.hset(keys.pace_shares(1), "", sums[:24])
        before = {name: pool.look(name, 90 * S).shares[0] for name in ("greedy", "meek")}
        asked = list(pool.ask(flood(10 * rate, 0.3 * rate, from_s=90, until_s=190)))
    assert struct.unpack("<d", sums[24:32]) > (T0 + 85 * S,)
    assert before["greedy"].used > before["meek"].used > 0
    assert passed(asked)["meek"] >= 148
    assert sum(passed(asked).values()) >= 0.99 * rate * 100
