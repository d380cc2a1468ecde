"""Floors of a shared limit: all tenants of a connection together cannot be promised more than the limit has."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from django.db.models import Count
from django.utils.translation import gettext as _

from limiter.core.algorithms import rules_of
from limiter.policies.models import Assignment, QuotaLimit, QuotaPolicy
from quota_platform.base.languages import number
from tenants.models import Tenant


@dataclass(frozen=True)
class Tenants:
    """How many tenants of each connection (by name) stand under each policy (by ID, None: everyone's alone)."""

    default: int | None
    counts: Mapping[tuple[str, int | None], int]

    def promised(self, floors: Mapping[int | None, int]) -> Counter[str]:
        """What the floors of one limit, by policy, add up to on each connection."""
        sums = Counter[str]()
        for (connection, policy), tenants in self.counts.items():
            sums[connection] += tenants * floors.get(policy if policy in floors else self.default, 0)
        return sums

    def with_one(self, connection: str, policy: int | None) -> Tenants:
        """And one tenant more."""
        key = connection, policy
        return replace(self, counts={**self.counts, key: self.counts.get(key, 0) + 1})


def _tenants(*, but: int | None = None) -> Tenants:
    """As they are stored, without one of them; one query, however many there are."""
    default = Assignment.objects.filter(target=Assignment.Target.DEFAULT).values_list("policy_id", flat=True).first()
    others = Tenant.objects.all() if but is None else Tenant.objects.exclude(pk=but)
    rows = others.values_list("connection__name", "assignments__policy_id")
    counted = rows.order_by().annotate(tenants=Count("pk"))
    return Tenants(default, {(connection, policy): tenants for connection, policy, tenants in counted})


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
    sums = _tenants().promised(floors)
    return max(((units, name) for name, units in sums.items()), default=(0, ""))


def fault_of_tenant(row: Tenant) -> dict[str, str]:
    """Why a tenant cannot join this connection, by field; nothing for one that stays on its own."""
    if row.connection_id is None or Tenant.objects.filter(pk=row.pk, connection=row.connection_id).exists():
        return {}
    own = Assignment.objects.filter(tenant=row.pk).values_list("policy_id", flat=True).first() if row.pk else None
    said = _(
        "With this tenant, the floors of the tenants of connection {connection} in limit {limit} add up to {sum}, and"
        " the limit has {most}. Choose another connection, or lower a floor or raise the limit first."
    )
    found = _fault(lambda: _tenants(but=row.pk).with_one(row.connection.name, own))
    return {"connection": said.format(**found)} if found else {}


def fault_of_assignment(row: Assignment) -> dict[str, str]:
    """The same for a policy that everyone or a tenant is given; an action's policy gives no floor of its tenant."""
    if row.policy_id is None or row.target == Assignment.Target.ACTION:
        return {}
    if Assignment.objects.filter(pk=row.pk, policy=row.policy_id, target=row.target, tenant=row.tenant_id).exists():
        return {}
    said = _(
        "With this policy, the floors of the tenants of connection {connection} in limit {limit} add up to {sum}, and"
        " the limit has {most}. Choose another policy, or lower the floor or raise the limit first."
    )
    found = _fault(lambda: _assigned(row))
    return {"policy": said.format(**found)} if found else {}


def _assigned(row: Assignment) -> Tenants:
    if row.tenant is None:
        return replace(_tenants(), default=row.policy_id)
    return _tenants(but=row.tenant.pk).with_one(row.tenant.connection.name, row.policy_id)


def _fault(after: Callable[[], Tenants]) -> dict[str, str] | None:
    """The first limit whose floors add up to more than it has after an edit, and to more than before."""
    limits: dict[str, dict[int | None, QuotaLimit]] = defaultdict(dict)
    for line in QuotaLimit.objects.filter(shared=True):
        limits[line.name][line.policy_id] = line
    limits = {name: lines for name, lines in limits.items() if any(line.share_floor for line in lines.values())}
    if not limits:
        return None
    before, then = _tenants(), after()
    for name, lines in limits.items():
        floors = {policy: line.share_floor for policy, line in lines.items()}
        most = min(rules_of(line.algorithm).capacity_of(line) for line in lines.values())
        had = before.promised(floors)
        for connection, units in then.promised(floors).items():
            if units > max(most, had[connection]):
                return {"connection": connection, "limit": name, "sum": number(units), "most": number(most)}
    return None
