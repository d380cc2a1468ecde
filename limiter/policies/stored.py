"""Reads rows of the database into the values that calls are decided by, in a fixed number of queries."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from django.db.models import Q
from django.utils import timezone

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


def read_tenants(names: Collection[str]) -> Mapping[str, TenantRules | Unusable]:
    """Tenants by public id, with their connections, actions, assignments and the overrides that have not ended."""
    tenants = list(Tenant.objects.select_related("connection").prefetch_related("actions").filter(tenant_id__in=names))
    ids = [row.pk for row in tenants]
    assigned: dict[int, list[Assignment]] = defaultdict(list)
    targets = Assignment.objects.select_related("action").only(
        "policy", "tenant", "action__tenant", "action__action_id"
    )
    for row in targets.filter(Q(tenant__in=ids) | Q(action__tenant__in=ids)):
        assigned[row.action.tenant_id if row.action else row.tenant_id or 0].append(row)
    overrides: dict[int, list[Override]] = defaultdict(list)
    for override in Override.objects.select_related("action").filter(tenant__in=ids, ends_at__gt=timezone.now()):
        overrides[override.tenant_id].append(override)
    return {row.tenant_id: _rules(row, assigned[row.pk], overrides[row.pk]) for row in tenants}


def _rules(row: Tenant, assigned: Iterable[Assignment], overrides: Iterable[Override]) -> TenantRules | Unusable:
    try:
        spec = frugal(directory.tenant_spec(row))
    except _SENSELESS as error:
        return Unusable(f"tenant {row.tenant_id!r} or its connection {row.connection.name!r}: {error!r}")
    own = [line for line in assigned if line.action is None]
    return TenantRules(
        tenant=spec,
        policy_id=own[0].policy_id if own else None,
        action_policy_ids={line.action.action_id: line.policy_id for line in assigned if line.action},
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
        return Unusable(f"connection {row.name!r}: {error!r}")


def read_keys(prefixes: Collection[str]) -> Mapping[str, KeySpec | Unusable]:
    """API keys by prefix."""
    asked = ("prefix", "digest", "expires_at", "revoked_at", "tenant__tenant_id")
    rows = ApiKey.objects.select_related("tenant").only(*asked).filter(prefix__in=prefixes)
    return {row.prefix: directory.key_spec(row) for row in rows}


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
