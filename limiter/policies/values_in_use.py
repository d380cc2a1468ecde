"""Limits that count by a value of the call, and how many values each tenant has in use."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import NamedTuple

from redis.exceptions import RedisError

from limiter import clients
from limiter.core import keys
from limiter.core.types import MICROS, CountedPer, Limit, Subject
from limiter.policies import stored
from limiter.policies.compiled import PolicyUnavailable
from limiter.policies.effective import TenantEntry
from limiter.policies.models import Assignment, QuotaLimit
from tenants.models import Tenant

_AT_ONCE = 1_000


class Valued(NamedTuple):
    """One such limit of a tenant; ``subject.action`` is "" where it counts all actions together."""

    limit: Limit
    subject: Subject

    @property
    def register(self) -> str:
        """The key under which the store has the values in use, by the ends of their counts."""
        return keys.values(self.limit, self.subject)


def valued(limits: Iterable[Limit]) -> Iterator[Limit]:
    """Those of these limits; without those of single API keys, which are too many to look at all of them."""
    return (each for each in limits if each.counted_by and each.counted_per is not CountedPer.KEY)


def full() -> list[tuple[Valued, int]] | None:
    """Where a tenant has as many values in use as the limit counts, with their number; None when nobody can tell."""
    found = {each.register: each for entry in _entries() for each in _of(entry)}
    try:
        counts = _counts(list(found))
    except (RedisError, OSError):
        return None
    return [(each, counts[name]) for name, each in found.items() if counts[name] >= each.limit.max_values]


def _entries() -> Iterator[TenantEntry]:
    """The tenants with such a limit, as workers hold them."""
    policies = QuotaLimit.objects.exclude(counted_by="").values("policy")
    given = Assignment.objects.filter(policy__in=policies)
    tenants = Tenant.objects.filter(status=Tenant.Status.ACTIVE)
    if not given.filter(target=Assignment.Target.DEFAULT).exists():
        own, of_action = given.values("tenant"), given.values("action__tenant")
        tenants = tenants.filter(pk__in=own) | tenants.filter(pk__in=of_action)
    names = sorted(tenants.values_list("tenant_id", flat=True)) if given.exists() else []
    for at in range(0, len(names), _AT_ONCE):
        for entry in stored.read_entries(names[at : at + _AT_ONCE]).values():
            if isinstance(entry, TenantEntry):
                yield entry


def _of(entry: TenantEntry) -> Iterator[Valued]:
    tenant = entry.tenant
    for action_id in tenant.actions:
        try:
            limits = entry.plan(action_id, time.time()).limits
        except PolicyUnavailable:
            continue  # It decides nothing either; readiness tells of it.
        for limit in valued(limits):
            action = action_id if limit.counted_per is CountedPer.ACTION else ""
            yield Valued(limit, Subject(tenant.connection.id, tenant.tenant_id, action, ""))


def _counts(names: list[str]) -> Mapping[str, int]:
    """Values in use; one whose count has run out has left its place."""
    found: dict[str, int] = {}
    with closing(clients.client()) as store:
        for at in range(0, len(names), _AT_ONCE):
            some, pipeline = names[at : at + _AT_ONCE], store.pipeline(transaction=False)
            for name in some:
                pipeline.zcount(name, int(time.time() * MICROS), "+inf")
            found |= dict(zip(some, pipeline.execute(), strict=True))
    return found
