"""What a worker holds stays small, and of two loads that cross the newer one wins."""

from __future__ import annotations

from typing import Any

import pytest

from limiter.live.cache import Cache
from limiter.live.loader import Fetched
from limiter.live.shared_cache import Touched
from limiter.policies.effective import TenantRules
from quota_platform.base.changes import Topic, Touch
from quota_platform.base.lru import Lru
from tenants.directory import ActionSpec, ConnectionSpec, KeySpec, TenantSpec
from tenants.models import Connection
from tenants.spec_rows import connection_spec


@pytest.fixture
def touched() -> Touched:
    return Touched()


@pytest.fixture
def held(touched: Touched) -> Cache:
    return Cache(capacity=2, touched=touched)


def connection(number: int = 1, name: str = "unit") -> ConnectionSpec:
    return connection_spec(Connection(pk=number, uid=f"{number:032}", name=name, base_url="https://example.com"))


def tenant(number: int, tenant_id: str = "", *, seq: int = 1, **fields: Any) -> Fetched[TenantRules]:
    given: dict[str, Any] = {
        "id": number,
        "tenant_id": tenant_id or f"t{number}",
        "name": "T",
        "active": True,
        "envelope": False,
        "accept_unlisted_actions": False,
        "connection": connection(),
        "actions": {"a": ActionSpec(id=number, action_id="a")},
    }
    return Fetched(TenantRules(tenant=TenantSpec(**{**given, **fields})), seq)


def key(number: int, *, seq: int = 1, revoked: bool = False) -> Fetched[KeySpec]:
    spec = KeySpec(number, f"k{number}", "digest", tenant_id="t1", expires_at=None, revoked=revoked)
    return Fetched(spec, seq)


class TestCrossing:
    def test_a_load_older_than_a_known_change_has_to_be_made_again(self, held: Cache, touched: Touched) -> None:
        touched.note({Touch(Topic.TENANT, 1): 5, Touch(Topic.KEY, 1): 5})
        assert not held.adopt_tenant("t1", tenant(1, seq=4)) and not held.adopt_key("k1", key(1, seq=4))
        assert held.adopt_tenant("t1", tenant(1, seq=5)) and held.adopt_key("k1", key(1, seq=5))

    def test_a_slow_load_does_not_replace_a_newer_one(self, held: Cache) -> None:
        held.adopt_tenant("t1", tenant(1, seq=7, active=False))
        held.adopt_key("k1", key(1, seq=7, revoked=True))
        assert held.adopt_tenant("t1", tenant(1, seq=6)) and held.adopt_key("k1", key(1, seq=6))
        entry, found = held.tenants.get("t1"), held.keys.get("k1")
        assert entry and not entry.tenant.active and found and found[0].revoked

    def test_a_name_unknown_before_a_change_may_be_known_after_it(self, held: Cache) -> None:
        held.forget_unknown(5)
        assert not held.adopt_tenant("t1", Fetched(None, 4)) and not held.adopt_key("k1", Fetched(None, 4))
        assert "t1" not in held.unknown_tenants and "k1" not in held.unknown_keys
        assert held.adopt_tenant("t1", Fetched(None, 5)) and held.adopt_key("k1", Fetched(None, 5))
        assert "t1" in held.unknown_tenants and "k1" in held.unknown_keys

    def test_the_newer_of_two_states_of_a_connection_is_shared(self, held: Cache) -> None:
        held.adopt_tenant("t1", tenant(1, seq=5, connection=connection(name="new")))
        held.adopt_tenant("t2", tenant(2, seq=4, connection=connection(name="old")))
        entries = [held.tenants.get(name) for name in ("t1", "t2")]
        assert [entry.tenant.connection.name for entry in entries if entry] == ["new", "new"]

    def test_a_tenant_asked_for_by_its_new_name_is_not_held_by_the_old_one_too(self, held: Cache) -> None:
        held.adopt_tenant("before", tenant(1, "before", seq=1))
        held.adopt_tenant("after", tenant(1, "after", seq=2))
        assert "before" not in held.tenants and "after" in held.tenants


class TestAffected:
    def test_only_what_is_held_and_older_than_its_change(self, held: Cache) -> None:
        held.adopt_tenant("t1", tenant(1, seq=4))
        held.adopt_tenant("t2", tenant(2, seq=4, connection=connection(2)))
        held.adopt_key("k1", key(1, seq=4))
        older = {Touch(topic, 1): 4 for topic in Topic}
        newer = {Touch(topic, 1): 5 for topic in Topic} | {Touch("of another version", 1): 5}
        nothing, found = held.affected(older), held.affected(newer)
        assert (nothing.tenants, nothing.keys, nothing.connections) == ([], [], [])
        assert (found.tenants, found.keys, found.connections) == (["t1"], ["k1"], [1])
        assert (found.policies, found.default) == ([], False)

    def test_entries_older_than_the_floor_are_affected(self, held: Cache) -> None:
        held.adopt_tenant("t1", tenant(1, seq=4))
        held.adopt_tenant("t2", tenant(2, seq=9, connection=connection(2)))
        held.adopt_key("k1", key(1, seq=4))
        found = held.affected({}, floor=9)
        assert (found.tenants, found.keys, found.connections) == (["t1"], ["k1"], [1])

    def test_entries_taken_in_without_the_database(self, held: Cache) -> None:
        rules = tenant(1).value
        held.adopt_tenant("t1", Fetched(rules, 9, stale=True))
        held.adopt_tenant("t2", tenant(2, seq=0))
        assert held.stale and held.affected({}, floor=0).tenants == ["t1"]


class TestBounds:
    def test_the_tenant_and_the_key_unused_for_longest_make_room(self, held: Cache) -> None:
        for number in (1, 2):
            held.adopt_tenant(f"t{number}", tenant(number, connection=connection(number)))
        held.tenants.get("t1")
        held.adopt_tenant("t3", tenant(3))
        assert [name for name, _ in held.tenants.items()] == ["t1", "t3"]
        assert held.connections.keys() == {1}
        for number in range(9):
            held.adopt_key(f"k{number}", key(number))
        assert [prefix for prefix, _ in held.keys.items()] == ["k5", "k6", "k7", "k8"]
        changes = {Touch(topic, number): 9 for topic in (Topic.TENANT, Topic.KEY) for number in range(9)}
        found = held.affected(changes)
        assert (found.tenants, found.keys) == (["t1", "t3"], ["k5", "k6", "k7", "k8"])

    def test_names_that_callers_make_up_are_forgotten_in_turn_and_push_out_nothing_real(self, held: Cache) -> None:
        held.adopt_tenant("t1", tenant(1))
        held.adopt_key("k1", key(1))
        for number in range(20_000):
            held.adopt_tenant(f"x{number}", Fetched(None, 1))
            held.adopt_key(f"x{number}", Fetched(None, 1))
        assert "t1" in held.tenants and "k1" in held.keys
        assert len(held.unknown_tenants) == len(held.unknown_keys) == 10_000

    def test_a_dictionary_that_forgets(self) -> None:
        lru: Lru[str, int] = Lru(2)
        assert lru.put("a", 1) == [] and lru.put("b", 2) == []
        assert lru.get("a") == 1 and lru.peek("b") == 2
        assert lru.put("c", 3) == [2] and lru.put("a", 4) == [1]
        assert list(lru.items()) == [("c", 3), ("a", 4)] and lru.drop("c") == 3 and len(lru) == 1


class TestTouched:
    def test_the_newest_change_of_all_that_an_entry_depends_on(self, touched: Touched) -> None:
        one, other = Touch(Topic.TENANT, 1), Touch(Topic.CONNECTION, 1)
        touched.note({one: 3, other: 5})
        assert touched.newest([one]) == 3 and touched.newest([one, other]) == 5
        assert touched.newest([Touch(Topic.TENANT, 2)]) == 0

    def test_starting_over_counts_every_row_as_touched(self, touched: Touched) -> None:
        touched.note({Touch(Topic.TENANT, 1): 3})
        touched.start_from(7)
        assert touched.newest([Touch(Topic.TENANT, 1)]) == touched.newest([Touch(Topic.KEY, 9)]) == 7

    def test_notes_are_kept_for_twice_the_life_of_an_entry(self) -> None:
        clock = [0.0]
        touched = Touched(clock=lambda: clock[0])
        touched.note({Touch(Topic.TENANT, 1): 3})
        clock[0] = 1199
        touched.note({Touch(Topic.TENANT, 2): 4})
        assert touched.newest([Touch(Topic.TENANT, 1)]) == 3
        clock[0] = 1200
        touched.note({Touch(Topic.TENANT, 3): 5})
        assert touched.newest([Touch(Topic.TENANT, 1)]) == 0 and touched.newest([Touch(Topic.TENANT, 2)]) == 4

    def test_beyond_the_bound_of_notes_every_row_counts_as_touched(self) -> None:
        touched = Touched(most=2)
        touched.note({Touch(Topic.TENANT, number): number for number in (1, 2, 3)})
        assert touched.newest([Touch(Topic.KEY, 1)]) == 3
