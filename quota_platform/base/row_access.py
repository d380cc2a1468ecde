"""Which rows of a model a person sees and may change: the one place that decides it, for admin, API and pages.

A permission says what a person may do, a membership for which tenants. A person with ``tenants.see_every_tenant`` (a
superuser has it) needs no membership. What others see and may change of each model is a :class:`Rule`; a model without
one fails loudly instead of showing everything. Nothing is cached: each check reads the database. Which tenants a
person sees, and the rules that follow from it, are in :mod:`tenants.scope`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext_lazy as _

SEE_EVERY = "tenants.see_every_tenant"
NOT_YOURS = _("This reaches tenants that you do not see. Ask somebody who sees every tenant.")

M = TypeVar("M", bound=Model)
Condition = Callable[[Any], Q]
"""From a person who does not see every tenant to the rows that are meant."""


def sees_every_tenant(person: Any) -> bool:
    return bool(person.has_perm(SEE_EVERY))


@dataclass(frozen=True, slots=True)
class Rule:
    """Which rows of a model a person sees, and changes, who does not see every tenant.

    Without ``changed`` every row that is seen may be changed. ``made``: whether they may make any; a row they made must
    be one that they may change.
    """

    seen: Condition
    changed: Condition | None = None
    made: bool = True

    @property
    def may_change(self) -> Condition:
        return self.changed or self.seen


_rules: dict[type[Model], Rule] = {}


def declare(model: type[Model], rule: Rule) -> None:
    """Once per model, by its feature (:mod:`quota_platform.base.features`)."""
    _rules[model] = rule


def has_rule(model: type[Model]) -> bool:
    return model in _rules


def everything(person: Any) -> Q:
    return Q()


def nothing(person: Any) -> Q:
    return Q(pk__in=[])


def seen(rows: QuerySet[M], person: Any) -> QuerySet[M]:
    """Those of the rows that the person sees."""
    return rows if sees_every_tenant(person) else rows.filter(_rules[rows.model].seen(person))


def viewed(person: Any, model: type[M]) -> QuerySet[M]:
    """The rows of a model that the person sees and has the right to look at."""
    name = f"{model._meta.app_label}.%s_{model._meta.model_name}"
    rows = model._default_manager.all()
    return seen(rows, person) if any(person.has_perm(name % verb) for verb in ("view", "change")) else rows.none()


def may_change(person: Any, row: Model) -> bool:
    """Whether the row, as it is stored, is only the person's tenants'. The permission is asked for elsewhere."""
    if sees_every_tenant(person):
        return True
    model = type(row)
    return model._default_manager.filter(_rules[model].may_change(person), pk=row.pk).exists()


def may_change_all(person: Any, rows: QuerySet[Any]) -> bool:
    """:func:`may_change` for all of these rows."""
    return sees_every_tenant(person) or rows.filter(_rules[rows.model].may_change(person)).count() == rows.count()


def may_make(person: Any, model: type[Model]) -> bool:
    """Whether the person may make rows of this model at all."""
    return _rules[model].made or sees_every_tenant(person)
