"""Reads rows of the database into the values that calls are decided by, in a fixed number of queries."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext

from limiter.policies.compiled import PolicyInvalid, PolicySpec, compile_policy
from limiter.policies.effective import HeldPolicy, PolicyShelf, TenantEntry, TenantRules, frugal
from limiter.policies.models import Assignment, Override, QuotaPolicy
from limiter.policies.plan import OverrideSpec
from tenants import directory
from tenants.directory import ConnectionSpec, KeySpec
from tenants.models import ApiKey, Connection, Tenant

_SENSELESS = (AttributeError, KeyError, TypeError, ValueError)


class Unusable(Exception):
    """Rows that make no sense, written past every form and check; the message says which and why."""


class Assigned(NamedTuple):
    """A policy assigned to an action, or to the tenant itself."""

    action_id: str | None
    policy_id: int


def read_tenants(names: Collection[str]) -> Mapping[str, TenantRules | Unusable]:
    """Tenants by public id, with their connections, actions, assignments and the overrides that have not ended."""
    tenants = _tenants_of(names)
    ids = [row.pk for row in tenants]
    assigned = _assigned(ids)
    overrides: dict[int, list[Override]] = defaultdict(list)
    for override in Override.objects.select_related("action").filter(tenant__in=ids, ends_at__gt=timezone.now()):
        overrides[override.tenant_id].append(override)
    specs: dict[int, ConnectionSpec] = {}
    return {row.tenant_id: _rules(row, specs, assigned[row.pk], overrides[row.pk]) for row in tenants}


def _tenants_of(names: Collection[str]) -> list[Tenant]:
    """The rows, those of one connection with one and the same row of it: it is wide, and shared by many."""
    rows = list(Tenant.objects.prefetch_related("connection", "actions").filter(tenant_id__in=names))
    # Moved to another connection between the two queries, and the former one deleted.
    moved = [row.tenant_id for row in rows if getattr(row, "connection", None) is None]
    if moved:
        again = Tenant.objects.select_related("connection").prefetch_related("actions").filter(tenant_id__in=moved)
        rows = [*(row for row in rows if row.tenant_id not in moved), *again]
    return rows


def _assigned(ids: Collection[int]) -> dict[int, list[Assigned]]:
    """The policies assigned to these tenants and to their actions, by tenant."""
    found: dict[int, list[Assigned]] = defaultdict(list)
    asked = ("tenant_id", "action__tenant_id", "action__action_id", "policy_id")
    rows = Assignment.objects.filter(Q(tenant__in=ids) | Q(action__tenant__in=ids)).values_list(*asked)
    for tenant_id, owner_id, action_id, policy_id in rows:
        found[owner_id or tenant_id or 0].append(Assigned(action_id, policy_id))
    return found


def _rules(
    row: Tenant, specs: dict[int, ConnectionSpec], assigned: Iterable[Assigned], overrides: Iterable[Override]
) -> TenantRules | Unusable:
    try:
        connection = specs.get(row.connection_id) or directory.connection_spec(row.connection)
        specs[row.connection_id] = connection
        spec = frugal(directory.tenant_spec(row, connection))
    except _SENSELESS as error:
        said = gettext("tenant {tenant} or its connection {connection}: {error}")
        return Unusable(
            said.format(tenant=repr(row.tenant_id), connection=repr(row.connection.name), error=repr(error))
        )
    return TenantRules(
        tenant=spec,
        policy_id=next((line.policy_id for line in assigned if line.action_id is None), None),
        action_policy_ids={line.action_id: line.policy_id for line in assigned if line.action_id is not None},
        overrides=tuple(override_spec(override) for override in overrides if _usable(override)),
    )


def _usable(override: Override) -> bool:
    """A factor that is no finite number changes nothing; forms refuse it, SQL may write it."""
    return override.factor is None or math.isfinite(override.factor)


def override_spec(row: Override) -> OverrideSpec:
    return OverrideSpec(
        id=row.pk,
        action_id=row.action.action_id if row.action else None,
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
        return directory.connection_spec(row)
    except _SENSELESS as error:
        said = gettext("connection {connection}: {error}")
        return Unusable(said.format(connection=repr(row.name), error=repr(error)))


def read_keys(prefixes: Collection[str]) -> Mapping[str, KeySpec | Unusable]:
    """API keys by prefix."""
    asked = ("id", "prefix", "digest", "tenant__tenant_id", "expires_at", "revoked_at")
    rows = ApiKey.objects.filter(prefix__in=prefixes).values_list(*asked, named=True)
    return {
        row.prefix: KeySpec(
            id=row.id,
            prefix=row.prefix,
            digest=row.digest,
            tenant_id=row.tenant__tenant_id,
            expires_at=row.expires_at.timestamp() if row.expires_at else None,
            revoked=row.revoked_at is not None,
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


def read_entries(names: Collection[str]) -> dict[str, TenantEntry | Unusable]:
    """Tenants by public id with the policies they are under, as a worker would hold them had it just begun."""
    rules = read_tenants(names)
    default_id = _default_id()
    usable = [each for each in rules.values() if isinstance(each, TenantRules)]
    wanted = {policy_id for each in usable for policy_id in each.policy_ids()} | ({default_id} if default_id else set())
    shelf = PolicyShelf()
    for policy_id, spec in read_policies(wanted).items():
        usable_spec = spec if isinstance(spec, PolicySpec) else None
        shelf.put(policy_id, HeldPolicy(usable_spec, seq=0, problem="" if usable_spec else str(spec)))
    shelf.set_default(default_id, seq=0)
    return {
        name: TenantEntry(each, shelf=shelf, seq=0) if isinstance(each, TenantRules) else each
        for name, each in rules.items()
    }
