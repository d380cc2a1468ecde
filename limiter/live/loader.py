"""Loads tenants, keys and policies off the event loop: from the shared cache if it is new enough, else the database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import Error as DatabaseFault

from limiter.core.versioned import Unreadable, refused
from limiter.live import entry_format, queries
from limiter.live.shared_cache import CachedValue, SecondLevel, Touched
from limiter.policies import stored
from limiter.policies.compiled import PolicySpec
from limiter.policies.effective import TenantRules
from quota_platform.base import changes
from quota_platform.base.changes import DEFAULT, Topic, Touch
from tenants.directory import ConnectionSpec, KeySpec

K = TypeVar("K", int, str)
T = TypeVar("T")


class DirectoryUnavailable(Exception):
    """Neither this worker nor the cache nor the database can say who is calling or what applies: answer 503."""


@dataclass(frozen=True, slots=True)
class Fetched(Generic[T]):
    """A value as it stood after change ``seq``; None: there is none.

    ``stale``: from the cache because the database is unavailable, and older than a change that this worker has seen.
    ``problem``: the stored rows make no sense, says this sentence; the value is the last that did, if one is left.
    """

    value: T | None
    seq: int
    stale: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class EntryKind(Generic[K, T]):
    """How one kind of thing is written to the cache, judged and read from the database.

    ``decode``: see :mod:`limiter.live.entry_format`. ``touches``: the changes of which entities make a stored one too
    old. ``keeps_good``: the last value that made sense is kept for good, for the day when the rows do not.
    """

    name: str
    encode: Callable[[T], Any]
    decode: Callable[..., T]
    touches: Callable[[T], Collection[Touch]]
    read: Callable[[Collection[K]], Mapping[K, T | stored.Unusable]]
    keeps_good: bool = False


TENANT: EntryKind[str, TenantRules] = EntryKind(
    name="tenant",
    encode=entry_format.of_rules,
    decode=entry_format.rules,
    touches=lambda rules: [
        Touch(Topic.TENANT, rules.tenant.id),
        Touch(Topic.CONNECTION, rules.tenant.connection.id),
    ],
    read=stored.read_tenants,
)
KEY: EntryKind[str, KeySpec] = EntryKind(
    name="key",
    encode=entry_format.of_key,
    decode=entry_format.key,
    touches=lambda spec: [Touch(Topic.KEY, spec.id)],
    read=stored.read_keys,
)
GRANT: EntryKind[str, int] = EntryKind(
    name="grant",
    encode=int,
    decode=lambda data, *, whole=True: int(data),
    touches=lambda key_id: [Touch(Topic.KEY, key_id)],
    read=stored.read_grants,
)
POLICY: EntryKind[int, PolicySpec] = EntryKind(
    name="policy",
    encode=entry_format.of_policy,
    decode=entry_format.policy,
    touches=lambda spec: [Touch(Topic.POLICY, spec.id or 0)],
    read=stored.read_policies,
    keeps_good=True,
)
# The id of the default policy, under the one name 0; an id of 0 says that nobody has chosen one.
DEFAULT_ID: EntryKind[int, int] = EntryKind(
    name="default",
    encode=int,
    decode=lambda data, *, whole=True: int(data),
    touches=lambda _: [DEFAULT],
    read=stored.read_default,
)


def grant_name(key_id: int, tenant_id: str) -> str:
    """What one tenant of a platform key is looked up by: a key may have a hundred thousand."""
    return f"{key_id}:{tenant_id}"


def tenant_of_grant(name: str) -> str:
    return name.partition(":")[2]


class Loader:
    """Everything here waits for cache and database, so it runs in threads; it holds nothing but its arguments."""

    def __init__(self, *, second: SecondLevel, touched: Touched) -> None:
        self._second = second
        self._touched = touched

    def tenants(self, names: Collection[str]) -> dict[str, Fetched[TenantRules]]:
        """Tenants by public id. A name is missing from the result if neither cache nor database could be read."""
        return self._fetch(TENANT, names)

    def keys(self, prefixes: Collection[str]) -> dict[str, Fetched[KeySpec]]:
        return self._fetch(KEY, prefixes)

    def grants(self, names: Collection[str]) -> dict[str, Fetched[int]]:
        """Which of these platform keys may act for which tenant, by :func:`grant_name`; the value is the key's id."""
        return self._fetch(GRANT, names)

    def policies(self, ids: Collection[int]) -> dict[int, Fetched[PolicySpec]]:
        return self._fetch(POLICY, ids)

    def default(self) -> Fetched[int]:
        """The default policy's id; raises :class:`DirectoryUnavailable`."""
        found = self._fetch(DEFAULT_ID, [0]).get(0)
        if found is None:
            raise DirectoryUnavailable("the default policy could not be loaded")
        return Fetched(found.value or None, found.seq, stale=found.stale)

    def connections(self, ids: Collection[int]) -> dict[int, Fetched[ConnectionSpec]]:
        """Straight from the database: asked for after an edit only."""
        try:
            seq, found = queries.read(lambda: (self._seq(), stored.read_connections(ids)))
        except DatabaseFault:
            return {}
        return {connection_id: _fetched(found.get(connection_id), seq) for connection_id in ids}

    def _fetch(self, kind: EntryKind[K, T], names: Collection[K]) -> dict[K, Fetched[T]]:
        shared = self._stored(kind, names)
        new_enough = {name: found for name, found in shared.items() if not found.stale}
        wanted = [name for name in names if name not in new_enough]
        if not wanted:
            return new_enough
        try:
            seq, read = queries.read(lambda: (self._seq(), kind.read(wanted)))
        except DatabaseFault:
            return shared
        sound = {name: value for name, value in read.items() if not isinstance(value, stored.Unusable)}
        self._second.put({f"{kind.name}:{name}": CachedValue(seq, kind.encode(value)) for name, value in sound.items()})
        if kind.keeps_good:
            for name, value in sound.items():
                self._second.keep(f"good:{kind.name}:{name}", kind.encode(value))
        unusable = {
            name: Fetched(self._last_good(kind, name), seq, problem=str(value))
            for name, value in read.items()
            if isinstance(value, stored.Unusable)
        }
        return new_enough | {name: Fetched(sound.get(name), seq) for name in wanted} | unusable

    def _seq(self) -> int:
        """The change that whatever is read after this includes at least."""
        return changes.latest_id() if self._touched.seen is None else self._touched.seen

    def _stored(self, kind: EntryKind[K, T], names: Collection[K]) -> dict[K, Fetched[T]]:
        keys = {f"{kind.name}:{name}": name for name in names}
        found = {}
        for key, (seq, data) in self._second.get(keys).items():
            value, whole = _decoded(kind, data)
            if value is not None:
                stale = not whole or seq < self._touched.newest(kind.touches(value))
                found[keys[key]] = Fetched(value, seq, stale=stale)
        return found

    def _last_good(self, kind: EntryKind[K, T], name: K) -> T | None:
        data = self._second.kept(f"good:{kind.name}:{name}") if kind.keeps_good else None
        return None if data is None else _decoded(kind, data)[0]


def _decoded(kind: EntryKind[Any, Any], data: Any) -> tuple[Any, bool]:
    """An entry of the cache, and whether it has all that the database would say; None: it makes no sense here.

    One that lacks a field was written by an earlier release, and will do while the database is unavailable.
    """
    why = ""
    for whole in (True, False):
        try:
            return kind.decode(data, whole=whole), whole
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            why = repr(error)
    refused(f"cached {kind.name}", Unreadable(f"cached {kind.name}: {why}"))
    return None, False


def _fetched(read: T | stored.Unusable | None, seq: int) -> Fetched[T]:
    if isinstance(read, stored.Unusable):
        return Fetched(None, seq, problem=str(read))
    return Fetched(read, seq)
