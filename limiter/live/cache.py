"""What one worker holds in memory, and when something newer takes its place. For the event loop's thread alone."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from limiter.live.loader import KEY, TENANT, Fetched
from limiter.live.shared_cache import Touched
from limiter.policies.compiled import PolicySpec
from limiter.policies.effective import HeldPolicy, PolicyShelf, TenantEntry, TenantRules
from quota_platform.base.changes import DEFAULT, Topic, Touch
from quota_platform.base.lru import Lru
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
    """Held entries that must be loaded again."""

    tenants: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    policies: list[int] = field(default_factory=list)
    connections: list[int] = field(default_factory=list)
    default: bool = False


class Cache:
    """Tenants and keys least recently used make room for others; policies and connections go with their last tenant."""

    def __init__(self, *, capacity: int, touched: Touched) -> None:
        self._touched = touched
        self.shelf = PolicyShelf()
        self.tenants: Lru[str, TenantEntry] = Lru(capacity)
        self.keys: Lru[str, tuple[KeySpec, int]] = Lru(2 * capacity)
        self.grants: Lru[str, tuple[bool, int]] = Lru(2 * capacity)
        """Whether a platform key may act for a tenant, by both their names, and as of which change."""
        self.connections: dict[int, tuple[ConnectionSpec, int]] = {}
        self.unknown_tenants: Lru[str, int] = Lru(_UNKNOWN)
        self.unknown_keys: Lru[str, int] = Lru(_UNKNOWN)
        self.problems: dict[tuple[str, str | int], str] = {}
        """What in the database cannot be used, by kind and name."""
        self.stale = False
        """Something was adopted with the database away and has to be loaded again when it is back."""
        self._unknown_since = 0
        # What a change names is a row's id: found without walking through everything that is held.
        self._names: dict[int, str] = {}
        self._connected: Counter[int] = Counter()
        self._prefixes: dict[int, str] = {}

    def missing_policies(self, found: Iterable[Fetched[TenantRules]]) -> set[int]:
        """Policies these tenants stand under that are not held yet."""
        wanted = {policy_id for fetched in found if fetched.value for policy_id in fetched.value.policy_ids()}
        return wanted - self.shelf.held.keys()

    def adopt_tenant(self, name: str, fetched: Fetched[TenantRules]) -> bool:
        """Hold a tenant just loaded, or that there is none; False: a newer change is known, load it again."""
        rules, held = fetched.value, self.tenants.get(name)
        self._report("tenant", name, fetched.problem)
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
            self._forget_keys([self.keys.drop(prefix)])
            self.unknown_keys.put(prefix, fetched.seq)
            return True
        if self._outdated(fetched, KEY.touches(spec)):
            return False
        self.unknown_keys.drop(prefix)
        self._forget_keys(self.keys.put(prefix, (spec, self._seq(fetched))))
        self._prefixes[spec.id] = prefix
        return True

    def adopt_grant(self, name: str, fetched: Fetched[int]) -> bool:
        """Hold whether a platform key may act for a tenant; False: a newer change is known, load it again."""
        key_id = int(name.partition(":")[0])
        if self._outdated(fetched, [Touch(Topic.KEY, key_id)]):
            return False
        self.grants.put(name, (fetched.value is not None, self._seq(fetched)))
        return True

    def granted(self, name: str) -> bool:
        """Whether this is held as granted."""
        held = self.grants.get(name)
        return held is not None and held[0]

    def forget_grants(self, key_ids: Collection[int]) -> None:
        """The held entries of these platform keys may have changed."""
        if key_ids:
            for name, _ in self.grants.items():
                if int(name.partition(":")[0]) in key_ids:
                    self.grants.drop(name)

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
        self._report("policy", policy_id, problem)
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
        self._report("connection", connection_id, fetched.problem)
        if fetched.value is not None and connection_id in self._connected:
            self._share(fetched.value, seq=fetched.seq)
        return True

    def reconnect(self, connection_ids: Collection[int]) -> Iterator[None]:
        """See that tenants of these connections hold them as they are held here; a breath after every thousand."""
        for number, (name, entry) in enumerate(self.tenants.items()):
            if number % 1000 == 999:
                yield
            if entry.tenant.connection.id in connection_ids and self.tenants.peek(name) is entry:
                rules = self._sharing_connection(entry.rules, seq=STALE)
                if rules is not entry.rules:
                    self.tenants.replace(name, TenantEntry(rules, shelf=self.shelf, seq=entry.seq))

    def affected(self, touched: Mapping[Touch, int], *, floor: int = STALE) -> Affected:
        """The entries from before these changes, or from before change ``floor``."""
        by_topic: dict[str, dict[int, int]] = defaultdict(dict)
        for (topic, entity_id), change_id in touched.items():
            by_topic[topic][entity_id] = change_id
        tenants, keys = by_topic[Topic.TENANT], by_topic[Topic.KEY]
        policies, connections = by_topic[Topic.POLICY], by_topic[Topic.CONNECTION]
        everything = floor > STALE
        in_use = list(self._connected) if everything else [id_ for id_ in connections if id_ in self._connected]
        names = list(self._names.items() if everything else _known(self._names, tenants))
        prefixes = list(self._prefixes.items() if everything else _known(self._prefixes, keys))
        default_seq = self.shelf.default_seq
        return Affected(
            tenants=[name for id_, name in names if self._tenant_seq(name) < tenants.get(id_, floor)],
            keys=[prefix for id_, prefix in prefixes if self._key_seq(prefix) < keys.get(id_, floor)],
            policies=[id_ for id_, policy in self.shelf.held.items() if policy.seq < policies.get(id_, floor)],
            connections=[id_ for id_ in in_use if self._connection_seq(id_) < connections.get(id_, floor)],
            default=default_seq is not None and default_seq < touched.get(DEFAULT, floor),
        )

    def doubtful(self) -> Affected:
        """What could not be used when it was loaded."""
        by_kind: dict[str, list[Any]] = defaultdict(list)
        for kind, name in self.problems:
            by_kind[kind].append(name)
        return Affected(tenants=by_kind["tenant"], policies=by_kind["policy"], connections=by_kind["connection"])

    def forget_unknown(self, seq: int) -> None:
        """Names that did not exist before change ``seq`` may exist now."""
        self._unknown_since = seq
        self.unknown_tenants.clear()
        self.unknown_keys.clear()

    def sweep(self) -> None:
        """Let go of policies that no tenant held here uses."""
        for policy_id in self.shelf.sweep():
            self.problems.pop(("policy", policy_id), None)

    def _use(self, name: str, entry: TenantEntry) -> None:
        before = self._names.get(entry.tenant.id, name)
        if before != name:  # renamed, and asked for by its new name before the change was heard of
            self._let_go([self.tenants.drop(before)])
        self.shelf.use(entry.rules.policy_ids())
        self._connected[entry.tenant.connection.id] += 1
        self._let_go(self.tenants.put(name, entry))
        self._names[entry.tenant.id] = name

    def _let_go(self, entries: Iterable[TenantEntry | None]) -> None:
        for entry in entries:
            if entry is not None:
                self.shelf.release(entry.rules.policy_ids())
                self._names.pop(entry.tenant.id, None)
                self._disconnect(entry.tenant.connection.id)

    def _disconnect(self, connection_id: int) -> None:
        self._connected[connection_id] -= 1
        if not self._connected[connection_id]:
            del self._connected[connection_id]
            self.connections.pop(connection_id, None)
            self.problems.pop(("connection", connection_id), None)

    def _forget_keys(self, keys: Iterable[tuple[KeySpec, int] | None]) -> None:
        for key in keys:
            if key is not None:
                self._prefixes.pop(key[0].id, None)

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
        if held is not None and (held[0] is connection or held[1] > seq or held[0] == connection):
            connection = held[0]
        self.connections[connection.id] = (connection, max(seq, self._connection_seq(connection.id)))
        return connection

    def _tenant_seq(self, name: str) -> int:
        held = self.tenants.peek(name)
        return STALE if held is None else held.seq

    def _key_seq(self, prefix: str) -> int:
        held = self.keys.peek(prefix)
        return STALE if held is None else held[1]

    def _connection_seq(self, connection_id: int) -> int:
        held = self.connections.get(connection_id)
        return STALE if held is None else held[1]

    def _report(self, kind: str, name: str | int, problem: str) -> None:
        """Remember the problem, or that it is gone, and log it once."""
        if problem and self.problems.get((kind, name)) != problem:
            self.problems[kind, name] = problem
            log.error("The last good version keeps serving, if there is one: %s", problem)
        elif not problem and (kind, name) in self.problems:
            del self.problems[kind, name]
            log.warning("%s %s can be used again", kind, name)


def _known(names: Mapping[int, str], ids: Iterable[int]) -> Iterator[tuple[int, str]]:
    return ((id_, names[id_]) for id_ in ids if id_ in names)


def _newer_good(held: PolicySpec | None, loaded: PolicySpec | None) -> PolicySpec | None:
    """Which of two good specs serves in place of rows that cannot be used."""
    if held is None or loaded is None:
        return held or loaded
    return held if held.version >= loaded.version else loaded
