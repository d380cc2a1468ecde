"""Who shares a limit of a connection, and on which terms, as policies and assignments have it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import NamedTuple

from django.utils.translation import gettext as _

from limiter.core.algorithms import rules_of
from limiter.core.in_flight import IN_FLIGHT
from limiter.core.sharing import PACE
from limiter.core.types import ServiceClass
from limiter.policies import portions
from limiter.policies.floors import FloorTerms
from limiter.policies.models import Assignment, QuotaLimit
from tenants.models import Action, Connection, Tenant


class PoolMember(NamedTuple):
    """A tenant on one of its terms. ``calls``: it is active and has an action.

    ``in_parts``: its floor and ceiling are parts of a limit that moves.
    """

    tenant_id: str
    name: str
    terms: FloorTerms
    calls: bool
    in_parts: bool = False


_ALIKE = FloorTerms(ServiceClass.NORMAL.value, 1, 0, None)
"""The terms of a tenant in what its connection shares, where its policies have no others."""


def members(connection: int, limit: str) -> list[PoolMember]:
    """The tenants of a connection that share the limit of this name, each once for each of its terms, by their IDs.

    A handful of queries, however many there are.
    """
    if limit in (IN_FLIGHT, PACE):
        return _members_of_connection(connection)
    lines = QuotaLimit.objects.filter(name=limit, shared=True)
    terms: dict[int | None, FloorTerms] = {line.policy_id: FloorTerms.of(line) for line in lines}
    return _members(connection, terms) if terms else []


def _members_of_connection(connection: int) -> list[PoolMember]:
    """Of what the connection itself shares."""
    row = Connection.objects.filter(pk=connection, shared=True).first()
    if row is None:
        return []
    lines = QuotaLimit.objects.filter(name=row.shared_like, shared=True)
    terms: dict[int | None, FloorTerms] = {line.policy_id: _parts(line) for line in lines}
    return [each._replace(in_parts=True) for each in _members(connection, terms, otherwise=_ALIKE)]


def _parts(line: QuotaLimit) -> FloorTerms:
    terms, most = FloorTerms.of(line), rules_of(line.algorithm).capacity_of(line)
    floor, ceiling = portions.floor_parts(terms.floor, most), portions.ceiling_parts(terms.ceiling or 0, most)
    return terms._replace(floor=floor, ceiling=ceiling or None)


def _members(
    connection: int, terms: Mapping[int | None, FloorTerms], otherwise: FloorTerms | None = None
) -> list[PoolMember]:
    """``otherwise``: the terms of a tenant that these policies give none."""
    default, of_actions = _default(), _of_actions(connection, terms)
    acting = set(Action.objects.filter(tenant__connection=connection, enabled=True).values_list("tenant", flat=True))
    rows = Tenant.objects.filter(connection=connection).order_by("tenant_id")
    found = []
    columns = ("pk", "tenant_id", "name", "status", "assignments__policy_id")
    for pk, tenant_id, name, status, own in rows.values_list(*columns):
        policies = {own if own in terms else default, *of_actions[pk]}
        its = sorted({terms[policy] for policy in policies if policy in terms}, key=str)
        its = its or ([otherwise] if otherwise else [])
        calls = status == Tenant.Status.ACTIVE and pk in acting
        found += [PoolMember(tenant_id, name, each, calls) for each in its]
    return found


def names(connection: int) -> list[str]:
    """The limits that tenants of a connection share, those of the connection itself first."""
    return names_of([connection])[connection]


def names_of(connections: Collection[int]) -> dict[int, list[str]]:
    """The same of each of these connections. A handful of queries, however many there are."""
    limits = QuotaLimit.objects.filter(shared=True).order_by()
    everyones = set(limits.filter(policy=_default()).values_list("name", flat=True))
    found = {each: set(everyones) for each in connections}
    for path in ("policy__assignments__tenant__connection", "policy__assignments__action__tenant__connection"):
        given = limits.filter(**{f"{path}__in": list(connections)}).values_list(path, "name")
        for connection, name in given.distinct():
            found[connection].add(name)
    sharing = {row.pk: row for row in Connection.objects.filter(pk__in=connections, shared=True)}
    return {each: [*_own_names(sharing.get(each)), *sorted(within)] for each, within in found.items()}


def _own_names(row: Connection | None) -> list[str]:
    """What a connection that is shared divides itself."""
    own = {IN_FLIGHT: row.learns_in_flight, PACE: row.pace != Connection.Pace.OFF} if row else {}
    return [name for name, shared in own.items() if shared]


def fault_of_connection(row: Connection) -> dict[str, str]:
    """Why a connection cannot have the terms of a limit, by field."""
    if not (row.shared and row.shared_like):
        return {}
    if QuotaLimit.objects.filter(name=row.shared_like, shared=True).exists():
        return {}
    said = _("No policy has a shared limit '{name}'. Enter the name of one that has, or leave this blank.")
    return {"shared_like": said.format(name=row.shared_like)}


def _default() -> int | None:
    return Assignment.objects.filter(target=Assignment.Target.DEFAULT).values_list("policy_id", flat=True).first()


def _of_actions(connection: int, terms: Mapping[int | None, FloorTerms]) -> dict[int, set[int]]:
    """Tenant -> the policies of its actions that have the limit."""
    given = Assignment.objects.filter(action__tenant__connection=connection, policy__in=list(terms))
    found: dict[int, set[int]] = defaultdict(set)
    columns = ("action__tenant_id", "policy_id")
    for tenant, policy in given.values_list(*columns):
        found[tenant].add(policy)
    return found
