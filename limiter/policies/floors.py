"""Floors of a shared limit: all tenants of a connection together cannot be promised more than the limit has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from django.utils.translation import gettext as _

from limiter.core.algorithms import rules_of
from limiter.policies.models import Assignment, QuotaLimit, QuotaPolicy
from quota_platform.base.languages import number
from tenants.models import Tenant


def faults(policy: QuotaPolicy, lines: Iterable[QuotaLimit]) -> Iterator[tuple[QuotaLimit, str]]:
    """The lines whose floors, with those of other policies, add up to more than the limit; and the remedy."""
    for line in lines:
        if line.shared and line.share_floor:
            promised, connection = _most_promised(policy, line)
            most = rules_of(line.algorithm).capacity_of(line)
            if promised > most:
                said = _(
                    "The floors of the tenants of connection {connection} add up to {sum}, and the limit has {most}."
                    " Lower the floor, or raise the limit."
                )
                yield line, said.format(connection=connection, sum=number(promised), most=number(most))


def _most_promised(policy: QuotaPolicy, line: QuotaLimit) -> tuple[int, str]:
    """The largest sum of floors on one connection, and its name."""
    others = QuotaLimit.objects.filter(name=line.name, shared=True).exclude(policy=policy.pk)
    floors: dict[int | None, int] = dict(others.values_list("policy_id", "share_floor"))
    floors[policy.pk] = line.share_floor
    default = Assignment.objects.filter(target=Assignment.Target.DEFAULT).values_list("policy_id", flat=True).first()
    own = dict(Assignment.objects.filter(target=Assignment.Target.TENANT).values_list("tenant_id", "policy_id"))
    sums = Counter[str]()
    for tenant_id, connection in Tenant.objects.values_list("pk", "connection__name"):
        of = own.get(tenant_id)
        sums[connection] += floors.get(of if of in floors else default, 0)
    return max(((units, name) for name, units in sums.items()), default=(0, ""))
