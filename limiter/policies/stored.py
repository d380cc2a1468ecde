"""Reads rows of the database into the values that calls are decided by, in a fixed number of queries."""

from __future__ import annotations

import math
from collections import defaultdict, namedtuple
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from django.db import connection as database
from django.db.models.functions import Now
from django.utils.translation import gettext

from limiter.policies.compiled import PolicyInvalid, PolicySpec, compile_policy
from limiter.policies.effective import HeldPolicy, PolicyShelf, TenantEntry, TenantRules
from limiter.policies.models import Assignment, Override, QuotaPolicy
from limiter.policies.plan import OverrideSpec
from quota_platform.base.prepared import PreparedQuery
from tenants import spec_rows
from tenants.directory import ConnectionSpec, KeySpec, TenantSpec, same_connection
from tenants.models import Action, ApiKey, Connection, Tenant

_SENSELESS = (AttributeError, KeyError, TypeError, ValueError)


class Unusable(Exception):
    """Rows that make no sense, written past every form and check; the message says which and why."""


_ActionRow = namedtuple("_ActionRow", spec_rows.ACTION_COLUMNS)  # type: ignore[misc]
_TenantRow = namedtuple("_TenantRow", spec_rows.TENANT_COLUMNS)  # type: ignore[misc]
_KeyRow = namedtuple("_KeyRow", ("id", "prefix", "digest", "tenant_id", "expires_at", "revoked_at", "max_class"))
_OverrideRow = namedtuple(
    "_OverrideRow", ("id", "action_id", "limit_name", "effect", "factor", "quota", "starts_at", "ends_at", "reason")
)
_CONNECTION_COLUMNS = tuple(field.attname for field in Connection._meta.concrete_fields)
_ASSIGNED = ("tenant_id", "action__tenant_id", "action__action_id", "policy_id")

_tenants = PreparedQuery(
    lambda names: Tenant.objects.filter(tenant_id__in=names).order_by().values_list(*spec_rows.TENANT_COLUMNS)
)
_connections = PreparedQuery(
    lambda ids: Connection.objects.filter(pk__in=ids).order_by().values_list(*_CONNECTION_COLUMNS)
)
_actions = PreparedQuery(
    lambda ids: Action.objects.filter(tenant__in=ids).order_by().values_list("tenant_id", *spec_rows.ACTION_COLUMNS)
)
# Two queries in one statement: no database has an index for "this column or one of the joined table".
_assigned = PreparedQuery(
    lambda ids: (
        Assignment.objects.filter(tenant__in=ids)
        .order_by()
        .values_list(*_ASSIGNED)
        .union(Assignment.objects.filter(action__tenant__in=ids).order_by().values_list(*_ASSIGNED), all=True)
    )
)
_overrides = PreparedQuery(
    lambda ids: (
        Override.objects.filter(tenant__in=ids, ends_at__gt=Now())
        .order_by("pk")
        .values_list("tenant_id", "id", "action__action_id", *_OverrideRow._fields[2:])
    )
)
_keys = PreparedQuery(
    lambda prefixes: (
        ApiKey.objects.filter(prefix__in=prefixes)
        .order_by()
        .values_list("id", "prefix", "digest", "tenant__tenant_id", "expires_at", "revoked_at", "max_class")
    )
)


class Assigned(NamedTuple):
    """A policy assigned to an action, or to the tenant itself."""

    action_id: str | None
    policy_id: int


def read_tenants(names: Collection[str]) -> Mapping[str, TenantRules | Unusable]:
    """Tenants by public id, with their connections, actions, assignments and the overrides that have not ended.

    Without an object of the model for each: a worker that starts reads thousands.
    """
    tenants, connections = _with_connections(names)
    ids = [row.id for row in tenants]
    actions, assigned, overrides = _actions_of(ids), _assigned_to(ids), _overrides_of(ids)
    specs: dict[int, ConnectionSpec] = {}
    found: dict[str, TenantRules | Unusable] = {}
    for row in tenants:
        connection = connections[row.connection_id]
        try:
            if connection.pk not in specs:
                specs[connection.pk] = same_connection(spec_rows.connection_spec(connection))
            own = map(spec_rows.action_spec, actions[row.id])
            spec = spec_rows.tenant_spec(row, specs[connection.pk], own)
        except _SENSELESS as error:
            found[row.tenant_id] = _unusable(row, connection, error)
        else:
            found[row.tenant_id] = _rules(spec, assigned[row.id], overrides[row.id])
    return found


def _with_connections(names: Collection[str]) -> tuple[list[spec_rows.TenantRow], dict[int, Connection]]:
    """The rows, and their connections by id: these are wide, and shared by many."""
    rows = cast(list[spec_rows.TenantRow], [_TenantRow(*row) for row in _tenants.rows(names)])
    found = _connections.rows({row.connection_id for row in rows})
    made = (Connection.from_db(database.alias, _CONNECTION_COLUMNS, row) for row in found)
    connections = {connection.pk: connection for connection in made}
    # Moved to another connection between the two queries, and the former one deleted.
    moved = [row.tenant_id for row in rows if row.connection_id not in connections]
    if moved:
        again = list(Tenant.objects.select_related("connection").filter(tenant_id__in=moved))
        connections |= {row.connection_id: row.connection for row in again}
        rows = [*(row for row in rows if row.tenant_id not in moved), *again]
    return rows, connections


def _actions_of(ids: Collection[int]) -> dict[int, list[Any]]:
    """The rows of the actions of these tenants, by tenant."""
    found: dict[int, list[Any]] = defaultdict(list)
    for tenant_id, *columns in _actions.rows(ids):
        found[tenant_id].append(_ActionRow(*columns))
    return found


def _assigned_to(ids: Collection[int]) -> dict[int, list[Assigned]]:
    """The policies assigned to these tenants and to their actions, by tenant."""
    found: dict[int, list[Assigned]] = defaultdict(list)
    for tenant_id, owner_id, action_id, policy_id in _assigned.rows(ids):
        found[owner_id or tenant_id or 0].append(Assigned(action_id, policy_id))
    return found


def _overrides_of(ids: Collection[int]) -> dict[int, list[OverrideSpec]]:
    """The overrides of these tenants and their actions that have not ended, by tenant."""
    found: dict[int, list[OverrideSpec]] = defaultdict(list)
    for tenant_id, *columns in _overrides.rows(ids):
        row = _OverrideRow(*columns)
        if _usable(row):
            found[tenant_id].append(_override_spec(row))
    return found


def _rules(spec: TenantSpec, assigned: Iterable[Assigned], overrides: Iterable[OverrideSpec]) -> TenantRules:
    return TenantRules(
        tenant=spec,
        policy_id=next((line.policy_id for line in assigned if line.action_id is None), None),
        action_policy_ids={line.action_id: line.policy_id for line in assigned if line.action_id is not None},
        overrides=tuple(overrides),
    )


def _unusable(row: spec_rows.TenantRow, connection: Connection, error: Exception) -> Unusable:
    said = gettext("tenant {tenant} or its connection {connection}: {error}")
    return Unusable(said.format(tenant=repr(row.tenant_id), connection=repr(connection.name), error=repr(error)))


def _usable(row: _OverrideRow) -> bool:
    """A factor that is no finite number changes nothing; forms refuse it, SQL may write it."""
    return row.factor is None or math.isfinite(row.factor)


def _override_spec(row: _OverrideRow) -> OverrideSpec:
    return OverrideSpec(
        id=row.id,
        action_id=row.action_id,
        limit_name=row.limit_name,
        effect=row.effect,
        factor=row.factor,
        quota=row.quota,
        starts_at=row.starts_at.timestamp(),
        ends_at=row.ends_at.timestamp(),
        reason=row.reason,
    )


def read_connections(ids: Collection[int]) -> Mapping[int, ConnectionSpec | Unusable]:
    """Connections by id."""
    return {row.pk: _connection(row) for row in Connection.objects.filter(pk__in=ids)}


def _connection(row: Connection) -> ConnectionSpec | Unusable:
    try:
        return spec_rows.connection_spec(row)
    except _SENSELESS as error:
        said = gettext("connection {connection}: {error}")
        return Unusable(said.format(connection=repr(row.name), error=repr(error)))


def read_keys(prefixes: Collection[str]) -> Mapping[str, KeySpec | Unusable]:
    """API keys by prefix."""
    rows = (_KeyRow(*row) for row in _keys.rows(prefixes))
    return {
        row.prefix: KeySpec(
            id=row.id,
            prefix=row.prefix,
            digest=row.digest,
            tenant_id=row.tenant_id,
            expires_at=row.expires_at.timestamp() if row.expires_at else None,
            revoked=row.revoked_at is not None,
            max_class=row.max_class,
        )
        for row in rows
    }


def read_grants(names: Collection[str]) -> Mapping[str, int | Unusable]:
    """The platform keys that may act for a tenant, by ``<key id>:<tenant id>``; one that may not is not there."""
    wanted = [(int(key_id), tenant_id) for key_id, _, tenant_id in (name.partition(":") for name in names)]
    rows = ApiKey.acts_for.through.objects.filter(
        apikey__in={key_id for key_id, _ in wanted}, tenant__tenant_id__in={tenant_id for _, tenant_id in wanted}
    )
    found = {f"{key_id}:{name}": key_id for key_id, name in rows.values_list("apikey_id", "tenant__tenant_id")}
    return {name: found[name] for name in names if name in found}


def read_policies(ids: Collection[int]) -> Mapping[int, PolicySpec | Unusable]:
    """Policies by id, compiled."""
    return {row.pk: _compiled(row) for row in QuotaPolicy.objects.prefetch_related("limits").filter(pk__in=ids)}


def _compiled(row: QuotaPolicy) -> PolicySpec | Unusable:
    try:
        return compile_policy(row, row.limits.all())
    except PolicyInvalid as error:
        return Unusable(str(error))


def read_default(names: Collection[int]) -> Mapping[int, int | Unusable]:
    """The id of everyone's policy, 0 when nobody has chosen one, under each of the names (there is one)."""
    return dict.fromkeys(names, _default_id() or 0)


def _default_id() -> int | None:
    return Assignment.objects.filter(target=Assignment.Target.DEFAULT).values_list("policy_id", flat=True).first()


@dataclass(frozen=True, slots=True)
class PendingEdit:
    """An edit that is not stored yet: a tenant's rules and the id of everyone's policy, before it -> after it."""

    rules: Callable[[TenantRules], TenantRules]
    default_id: Callable[[int | None], int | None] = lambda held: held


def read_entries(names: Collection[str], *, after: PendingEdit | None = None) -> dict[str, TenantEntry | Unusable]:
    """Tenants by public id with the policies they are under, as a worker would hold them had it just begun.

    ``after``: as they will be after this edit.
    """
    rules, default_id = read_tenants(names), _default_id()
    if after is not None:
        rules = {name: after.rules(each) if isinstance(each, TenantRules) else each for name, each in rules.items()}
        default_id = after.default_id(default_id)
    shelf = _shelf_for([each for each in rules.values() if isinstance(each, TenantRules)], default_id)
    return {
        name: TenantEntry(each, shelf=shelf, seq=0) if isinstance(each, TenantRules) else each
        for name, each in rules.items()
    }


def _shelf_for(usable: Iterable[TenantRules], default_id: int | None) -> PolicyShelf:
    wanted = {policy_id for each in usable for policy_id in each.policy_ids()} | ({default_id} if default_id else set())
    shelf = PolicyShelf()
    for policy_id, spec in read_policies(wanted).items():
        usable_spec = spec if isinstance(spec, PolicySpec) else None
        shelf.put(policy_id, HeldPolicy(usable_spec, seq=0, problem="" if usable_spec else str(spec)))
    shelf.set_default(default_id, seq=0)
    return shelf


def override_spec(row: Override) -> OverrideSpec:
    """One that may not be stored yet."""
    return OverrideSpec(
        id=row.pk or 0,
        action_id=row.action.action_id if row.action else None,
        limit_name=row.limit_name,
        effect=row.effect,
        factor=row.factor,
        quota=row.quota,
        starts_at=row.starts_at.timestamp(),
        ends_at=row.ends_at.timestamp(),
        reason=row.reason,
    )
