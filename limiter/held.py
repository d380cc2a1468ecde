"""What one worker holds in memory, and when something newer takes its place. For the event loop's thread alone."""

from __future__ import annotations

import dataclasses
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

from limiter.entries import HeldPolicy, PolicyShelf, TenantEntry, TenantRules
from limiter.loader import KEY, TENANT, Fetched
from limiter.lru import Lru
from limiter.policies import PolicySpec
from limiter.second_level import Touched
from tenants.changes import DEFAULT, Topic, Touch
from tenants.directory import ConnectionSpec, KeySpec

STALE = -1
"""The ``seq`` of what came out of the cache with the database away: older than any change, to be loaded again."""
_UNKNOWN = 10_000

T = TypeVar("T")
log = logging.getLogger(__name__)


class Missing(Enum):
    """Said of a key that does not exist, where None means "not held: ask"."""

    MISSING = "missing"


@dataclass(slots=True)
class Affected:
    """What is held and must be loaded again."""

    tenants: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    policies: list[int] = field(default_factory=list)
    connections: list[int] = field(default_factory=list)
    default: bool = False


class Held:
    """Tenants, keys and connections least recently used make room for others; policies stay while they are in use."""

    def __init__(self, *, capacity: int, touched: Touched) -> None:
        self._touched = touched
        self.shelf = PolicyShelf()
        self.tenants: Lru[str, TenantEntry] = Lru(capacity)
        self.keys: Lru[str, tuple[KeySpec, int]] = Lru(2 * capacity)
        self.connections: Lru[int, tuple[ConnectionSpec, int]] = Lru(capacity)
        self.unknown_tenants: Lru[str, int] = Lru(_UNKNOWN)
        self.unknown_keys: Lru[str, int] = Lru(_UNKNOWN)
        self.problems: dict[str, str] = {}
        self.stale = False
        """Something was adopted with the database away and has to be loaded again when it is back."""
        self._unknown_since = 0

    def missing_policies(self, found: Iterable[Fetched[TenantRules]]) -> set[int]:
        """Policies these tenants stand under that are not held yet."""
        wanted = {policy_id for fetched in found if fetched.value for policy_id in fetched.value.policy_ids()}
        return wanted - self.shelf.held.keys()

    def adopt_tenant(self, name: str, fetched: Fetched[TenantRules]) -> bool:
        """Hold a tenant just loaded, or that there is none; False: a newer change is known, load it again."""
        rules, held = fetched.value, self.tenants.get(name)
        self._report(f"tenant {name}", fetched.problem)
        if held is not None and held.seq > fetched.seq:
            return True
        if rules is None:
            return bool(fetched.problem) or self._adopt_no_tenant(name, fetched.seq)
        if self._outdated(fetched, TENANT.touches(rules)):
            return False
        rules = self._sharing_connection(rules, seq=fetched.seq)
        self.unknown_tenants.drop(name)
        self._use(name, TenantEntry(rules, shelf=self.shelf, seq=self._seq(fetched)))
        return True

    def _adopt_no_tenant(self, name: str, seq: int) -> bool:
        if seq < self._unknown_since:
            return False
        self._let_go([self.tenants.drop(name)])
        self.unknown_tenants.put(name, seq)
        return True

    def adopt_key(self, prefix: str, fetched: Fetched[KeySpec]) -> bool:
        """Hold a key just loaded, or that there is none; False: a newer change is known, load it again."""
        spec, held = fetched.value, self.keys.get(prefix)
        if held is not None and held[1] > fetched.seq:
            return True
        if spec is None:
            if fetched.seq < self._unknown_since:
                return False
            self.keys.drop(prefix)
            self.unknown_keys.put(prefix, fetched.seq)
            return True
        if self._outdated(fetched, KEY.touches(spec)):
            return False
        self.unknown_keys.drop(prefix)
        self.keys.put(prefix, (spec, self._seq(fetched)))
        return True

    def adopt_policy(self, policy_id: int, fetched: Fetched[PolicySpec]) -> bool:
        """Hold a policy just loaded, or the last good one of it; False: a newer change is known, load it again."""
        held = self.shelf.held.get(policy_id)
        if held is not None and held.seq > fetched.seq:
            return True
        if self._outdated(fetched, [Touch(Topic.POLICY, policy_id)]):
            return False
        spec, problem = fetched.value, fetched.problem
        if spec is None and not problem and held is None:
            problem = f"policy {policy_id} is assigned but does not exist"
        if problem or spec is None:
            spec = _newer_good(held.spec if held else None, spec)
        self._report(f"policy {policy_id}", problem)
        self.shelf.put(policy_id, HeldPolicy(spec, self._seq(fetched), problem))
        return True

    def adopt_default(self, fetched: Fetched[int]) -> bool:
        """Remember everyone's policy, which must be held; False: a newer change is known, load it again."""
        if self.shelf.default_seq is not None and self.shelf.default_seq > fetched.seq:
            return True
        if self._outdated(fetched, [DEFAULT]):
            return False
        self.shelf.set_default(fetched.value, seq=self._seq(fetched))
        return True

    def adopt_connection(self, connection_id: int, fetched: Fetched[ConnectionSpec]) -> bool:
        """Hold a connection just loaded; :meth:`reconnect` gives it to its tenants. Always True."""
        if fetched.value is not None:
            self._share(fetched.value, seq=fetched.seq)
        return True

    def reconnect(self, connection_ids: Collection[int]) -> None:
        """See that tenants of these connections hold them as they are held here."""
        for name, entry in self.tenants.items():
            if entry.tenant.connection.id in connection_ids:
                rules = self._sharing_connection(entry.rules, seq=STALE)
                if rules is not entry.rules:
                    self.tenants.replace(name, TenantEntry(rules, shelf=self.shelf, seq=entry.seq))

    def affected(self, touched: Mapping[Touch, int], *, floor: int = STALE) -> Affected:
        """What is held from before these changes, or from before change ``floor``."""
        by_topic: dict[str, dict[int, int]] = defaultdict(dict)
        for (topic, entity_id), change_id in touched.items():
            by_topic[topic][entity_id] = change_id
        tenants, keys = by_topic[Topic.TENANT], by_topic[Topic.KEY]
        policies, connections = by_topic[Topic.POLICY], by_topic[Topic.CONNECTION]
        in_use = {entry.tenant.connection.id for _, entry in self.tenants.items()} if connections or floor >= 0 else ()
        default_seq = self.shelf.default_seq
        return Affected(
            tenants=[name for name, e in self.tenants.items() if e.seq < tenants.get(e.tenant.id, floor)],
            keys=[prefix for prefix, (spec, seq) in self.keys.items() if seq < keys.get(spec.id, floor)],
            policies=[id_ for id_, policy in self.shelf.held.items() if policy.seq < policies.get(id_, floor)],
            connections=[id_ for id_ in in_use if self._connection_seq(id_) < connections.get(id_, floor)],
            default=default_seq is not None and default_seq < touched.get(DEFAULT, floor),
        )

    def doubtful(self) -> Affected:
        """What is held in place of rows that cannot be used."""
        return Affected(
            tenants=[name for name, _ in self.tenants.items() if f"tenant {name}" in self.problems],
            policies=[policy_id for policy_id, policy in self.shelf.held.items() if policy.problem],
        )

    def forget_unknown(self, seq: int) -> None:
        """Names that did not exist before change ``seq`` may exist now."""
        self._unknown_since = seq
        self.unknown_tenants.clear()
        self.unknown_keys.clear()

    def sweep(self) -> None:
        """Let go of policies that no tenant held here uses."""
        for policy_id in self.shelf.sweep():
            self.problems.pop(f"policy {policy_id}", None)

    def _use(self, name: str, entry: TenantEntry) -> None:
        self.shelf.use(entry.rules.policy_ids())
        self._let_go(self.tenants.put(name, entry))

    def _let_go(self, entries: Iterable[TenantEntry | None]) -> None:
        for entry in entries:
            if entry is not None:
                self.shelf.release(entry.rules.policy_ids())
                self.problems.pop(f"tenant {entry.tenant.tenant_id}", None)

    def _outdated(self, fetched: Fetched[T], touches: Collection[Touch]) -> bool:
        return not fetched.stale and fetched.seq < self._touched.newest(touches)

    def _seq(self, fetched: Fetched[T]) -> int:
        self.stale = self.stale or fetched.stale
        return STALE if fetched.stale else fetched.seq

    def _sharing_connection(self, rules: TenantRules, *, seq: int) -> TenantRules:
        """The same rules with the connection that all its tenants share, the newer of the two."""
        connection = self._share(rules.tenant.connection, seq=seq)
        if connection is rules.tenant.connection:
            return rules
        return dataclasses.replace(rules, tenant=dataclasses.replace(rules.tenant, connection=connection))

    def _share(self, connection: ConnectionSpec, *, seq: int) -> ConnectionSpec:
        held = self.connections.get(connection.id)
        if held is not None and (held[1] > seq or held[0] == connection):
            connection = held[0]
        self.connections.put(connection.id, (connection, max(seq, self._connection_seq(connection.id))))
        return connection

    def _connection_seq(self, connection_id: int) -> int:
        held = self.connections.get(connection_id)
        return STALE if held is None else held[1]

    def _report(self, name: str, problem: str) -> None:
        """Remember the problem, or that it is gone, and log it once."""
        if problem and self.problems.get(name) != problem:
            self.problems[name] = problem
            log.error("The last good version keeps serving, if there is one: %s", problem)
        elif not problem and name in self.problems:
            del self.problems[name]
            log.warning("%s can be used again", name)


def _newer_good(held: PolicySpec | None, loaded: PolicySpec | None) -> PolicySpec | None:
    """Which of two good specs serves in place of rows that cannot be used."""
    if held is None or loaded is None:
        return held or loaded
    return held if held.version >= loaded.version else loaded
