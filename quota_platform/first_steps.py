"""The steps from an empty platform to the first call, for the admin's first page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from dashboard.access import may_set_up
from limiter.models import Assignment, QuotaPolicy
from tenants.models import Action, ApiKey, Connection, Tenant


class Step(NamedTuple):
    """``url``: the form that does it."""

    name: Any
    purpose: Any
    url: str
    done: bool


_STEPS = (
    ("tenants_connection", _("Add a connection"), _("the account at the upstream that calls go to")),
    ("tenants_tenant", _("Add a tenant"), _("a customer whose calls are limited")),
    ("tenants_action", _("Add an action"), _("a call that the tenant can make")),
    ("limiter_quotapolicy", _("Add a policy"), _("the limits")),
    ("limiter_assignment", _("Assign the policy"), _("to everyone, a tenant or an action")),
    ("tenants_apikey", _("Add an API key"), _("the tenant's callers identify themselves with it")),
)


def first_steps(person: Any) -> list[Step]:
    """In their order. Empty once all are done, and for a person who may not do them."""
    if not may_set_up(person):
        return []
    steps = [
        Step(name, purpose, reverse(f"admin:{form}_add"), done)
        for (form, name, purpose), done in zip(_STEPS, _done(), strict=True)
    ]
    return [] if all(step.done for step in steps) else steps


def _done() -> Iterator[bool]:
    """Whether each step was taken; a tenant that accepts unlisted actions needs none."""
    unlisted = Tenant.objects.filter(accept_unlisted_actions=True)
    rows: tuple[QuerySet[Any], ...] = (
        Connection.objects.all(),
        Tenant.objects.all(),
        Action.objects.all(),
        QuotaPolicy.objects.all(),
        Assignment.objects.all(),
        ApiKey.objects.all(),
    )
    for each in rows:
        yield each.exists() or (each.model is Action and unlisted.exists())
