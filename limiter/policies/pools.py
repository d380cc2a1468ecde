"""Who shares a limit of a connection, and on which terms, as policies and assignments have it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from django.db.models import Q

from limiter.policies.floors import FloorTerms
from limiter.policies.models import Assignment, QuotaLimit
from tenants.models import Action, Tenant


class PoolMember(NamedTuple):
    """A tenant on one of its terms. ``calls``: it is active and has an action."""

    tenant_id: str
    name: str
    terms: FloorTerms
    calls: bool


def members(connection: int, limit: str) -> list[PoolMember]:
    """The tenants of a connection that share the limit of this name, each once for each of its terms, by their IDs.

    A handful of queries, however many there are.
    """
    terms = {line.policy_id: FloorTerms.of(line) for line in QuotaLimit.objects.filter(name=limit, shared=True)}
    if not terms:
        return []
    default, of_actions = _default(), _of_actions(connection, terms)
    acting = set(Action.objects.filter(tenant__connection=connection, enabled=True).values_list("tenant", flat=True))
    rows = Tenant.objects.filter(connection=connection).order_by("tenant_id")
    found = []
    columns = ("pk", "tenant_id", "name", "status", "assignments__policy_id")
    for pk, tenant_id, name, status, own in rows.values_list(*columns):
        policies = {own if own in terms else default, *of_actions[pk]}
        its = sorted({terms[policy] for policy in policies if policy in terms}, key=str)
        calls = status == Tenant.Status.ACTIVE and pk in acting
        found += [PoolMember(tenant_id, name, each, calls) for each in its]
    return found


def names(connection: int) -> list[str]:
    """The limits that tenants of a connection share."""
    assigned = Q(policy__assignments__tenant__connection=connection)
    of_action = Q(policy__assignments__action__tenant__connection=connection)
    within = assigned | of_action | Q(policy=_default())
    return sorted(set(QuotaLimit.objects.filter(within, shared=True).values_list("name", flat=True)))


def _default() -> int | None:
    return Assignment.objects.filter(target=Assignment.Target.DEFAULT).values_list("policy_id", flat=True).first()


def _of_actions(connection: int, terms: Mapping[int, FloorTerms]) -> dict[int, set[int]]:
    """Tenant -> the policies of its actions that have the limit."""
    given = Assignment.objects.filter(action__tenant__connection=connection, policy__in=list(terms))
    found: dict[int, set[int]] = defaultdict(set)
    columns = ("action__tenant_id", "policy_id")
    for tenant, policy in given.values_list(*columns):
        found[tenant].add(policy)
    return found
