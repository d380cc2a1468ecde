"""Key names: one slot for all keys of a connection, and no two counts under one name."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

from redis.crc import key_slot

from limiter.core import keys
from limiter.core.algorithms import RULES
from limiter.core.types import CountedPer, Limit, Subject
from limiter.core.window import bind
from tests.limiter.core.given import ACME, S, bucket, counter, log, slots


def every_key(connection: int) -> set[str]:
    """All keys that calls of two tenants of a connection touch."""
    limits = [
        replace(limit, name=f"{limit.algorithm}-{per}", counted_per=per)
        for limit, per in product([log(1), counter(1), bucket(1, burst=1), slots(1)], CountedPer)
    ]
    found = {keys.events(connection), keys.usage(connection), keys.totals(connection)}
    found |= {keys.evidence(connection), keys.multiplier_changes(connection)}
    for tenant, action in product(["acme", "globex"], [None, "lookupOrder"]):
        subject = Subject(connection, tenant, action or "createCase", "k1")
        found |= set(bind(limits, subject=subject, adapts_per=action).keys)
        found |= {key(connection, tenant, action) for key in (keys.samples, keys.due, keys.multiplier)}
    return found


def test_all_keys_of_a_connection_lie_in_one_slot() -> None:
    for connection in (1, 12, 2**40):
        assert len({key_slot(key.encode()) for key in every_key(connection)}) == 1


def test_connections_spread_over_the_slots() -> None:
    slots_used = {key_slot(keys.events(connection).encode()) for connection in range(1000)}
    assert len(slots_used) > 900


def test_connections_share_no_key() -> None:
    assert not every_key(1) & every_key(11)


def test_no_two_counts_share_a_name() -> None:
    subjects = [
        Subject(1, tenant, action, key) for tenant, action, key in product(["a", "a.b"], ["x", "a.b"], ["k", "a.b"])
    ]
    seen: dict[str, tuple[object, ...]] = {}
    for subject, per, algorithm, name in product(subjects, CountedPer, RULES, ["m", "m-2"]):
        whose = {
            CountedPer.ACTION: (subject.tenant, subject.action),
            CountedPer.TENANT: (subject.tenant,),
            CountedPer.KEY: (subject.key,),
            CountedPer.CONNECTION: (),
        }[per]
        counted = (per, algorithm, name, *whose)
        key = keys.window(Limit(name, algorithm, 1, 60 * S, burst=1, counted_per=per), subject)
        assert seen.setdefault(key, counted) == counted
    assert len(set(seen.values())) == len(seen)


def test_a_counter_s_window_is_part_of_its_name_and_no_other_algorithm_s_is() -> None:
    def name(limit: Limit) -> str:
        return keys.window(limit, ACME)

    assert name(counter(1, window_us=60 * S)) != name(counter(1, window_us=120 * S))
    assert name(log(1, window_us=60 * S)) == name(log(1, window_us=120 * S))
    assert name(bucket(1, burst=1, window_us=60 * S)) == name(bucket(1, burst=1, window_us=120 * S))


def test_a_tenant_s_multiplier_is_not_an_action_s() -> None:
    for one, other in combinations([(1, "acme", None), (1, "acme", "x"), (1, "globex", None), (2, "acme", None)], 2):
        assert keys.multiplier(*one) != keys.multiplier(*other)
