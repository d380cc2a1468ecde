"""Which tenants a person sees, and which rows that leaves them: the one place that answers it.

A permission says what a person may do, a membership where. Whoever holds ``tenants.see_every_tenant`` (a superuser
does) needs no membership. What others see and may change of each model is a :class:`Rule`; a model without one fails
loudly instead of showing everything. Nothing is kept: each answer is read from the database.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from tenants.models import Action, ApiKey, Connection, Membership, Tenant

SEE = "tenants.view_tenant"
SEE_EVERY = "tenants.see_every_tenant"
NOT_YOURS = "This reaches tenants that you do not see. It takes somebody who sees every tenant."

M = TypeVar("M", bound=Model)
Condition = Callable[[Any], Q]
"""From a person who does not see every tenant to the rows that are meant."""


def sees_every_tenant(person: Any) -> bool:
    return bool(person.has_perm(SEE_EVERY))


def tenants_of(person: Any) -> QuerySet[Tenant]:
    """The tenants that the person sees now; none for somebody without the right to see any, or switched off."""
    if sees_every_tenant(person):
        return Tenant.objects.all()
    if not person.has_perm(SEE):
        return Tenant.objects.none()
    return Tenant.objects.filter(pk__in=Membership.objects.filter(user=person).values("tenant"))


def names_of(person: Any) -> frozenset[str] | None:
    """Their tenant IDs; None is every one, also those that are no more."""
    if sees_every_tenant(person):
        return None
    return frozenset(tenants_of(person).values_list("tenant_id", flat=True))


@dataclass(frozen=True, slots=True)
class Rule:
    """Which rows of a model a person sees, and changes, who does not see every tenant.

    ``made``: whether they may make any; a row they made must be one that they may change.
    """

    seen: Condition
    changed: Condition
    made: bool = True


_rules: dict[type[Model], Rule] = {}


def rule(model: type[Model], *, seen: Condition, changed: Condition | None = None, made: bool = True) -> None:
    """Declare a model's rule; without ``changed`` whatever is seen may be changed."""
    _rules[model] = Rule(seen=seen, changed=changed or seen, made=made)


def has_rule(model: type[Model]) -> bool:
    return model in _rules


def everything(person: Any) -> Q:
    return Q()


def nothing(person: Any) -> Q:
    return Q(pk__in=[])


def by_tenant(*paths: str) -> Condition:
    """Rows that name one of the person's tenants under one of these lookups."""

    def condition(person: Any) -> Q:
        found = Q()
        for path in paths:
            found |= Q(**{f"{path}__in": tenants_of(person)})
        return found

    return condition


def by_name(person: Any) -> Q:
    """Rows of the record, which hold a tenant ID as text. The names are read first, for the index on them."""
    return Q(tenant_id__in=sorted(names_of(person) or ()))


def seen(rows: QuerySet[M], person: Any) -> QuerySet[M]:
    """Those of the rows that the person sees."""
    return rows if sees_every_tenant(person) else rows.filter(_rules[rows.model].seen(person))


def may_change(person: Any, row: Model) -> bool:
    """Whether the row, as it is stored, is only the person's tenants'. The permission is asked for elsewhere."""
    if sees_every_tenant(person):
        return True
    model = type(row)
    return model._default_manager.filter(_rules[model].changed(person), pk=row.pk).exists()


def may_change_all(person: Any, rows: QuerySet[Any]) -> bool:
    """:func:`may_change` for all of these rows."""
    return sees_every_tenant(person) or rows.filter(_rules[rows.model].changed(person)).count() == rows.count()


def may_make(person: Any, model: type[Model]) -> bool:
    """Whether the person may make rows of this model at all."""
    return _rules[model].made or sees_every_tenant(person)


def _own_connections(person: Any) -> Q:
    return Q(pk__in=tenants_of(person).values("connection"))


def _nobody_elses_connections(person: Any) -> Q:
    strangers = Tenant.objects.filter(connection=OuterRef("pk")).exclude(pk__in=tenants_of(person))
    return _own_connections(person) & ~Q(Exists(strangers))


rule(Tenant, seen=by_tenant("pk"), made=False)
rule(Action, seen=by_tenant("tenant"))
rule(ApiKey, seen=by_tenant("tenant"))
rule(Membership, seen=by_tenant("tenant"))
rule(Connection, seen=_own_connections, changed=_nobody_elses_connections, made=False)
