"""Floors of a shared limit: all tenants of a connection together cannot be promised more than the limit has."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _

from limiter.core.algorithms import rules_of
from limiter.policies.models import Assignment, QuotaLimit, QuotaPolicy
from quota_platform.base.languages import number
from tenants.models import Tenant


class FloorTerms(NamedTuple):
    """What makes an account of a tenant: calls with the same terms have one, and its floor, in common."""

    service_class: str
    weight: int
    floor: int
    ceiling: int | None

    @classmethod
    def of(cls, line: QuotaLimit) -> FloorTerms:
        return cls(line.share_class, line.share_weight, line.share_floor, line.share_ceiling)


class FloorRules(NamedTuple):
    """The policies that decide about a tenant's floors (by ID): its own, None: everyone's alone, and its actions'."""

    connection: str
    policy: int | None
    of_actions: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Tenants:
    """How many tenants of each connection (by name) stand under which policies."""

    default: int | None
    counts: Mapping[FloorRules, int]

    def promised(self, terms: Mapping[int | None, FloorTerms]) -> Counter[str]:
        """What the floors of one limit, by policy, add up to on each connection."""
        sums = Counter[str]()
        for connection, tenants, accounts in self.accounts(terms):
            sums[connection] += tenants * sum(account.floor for account in accounts)
        return sums

    def accounts(self, terms: Mapping[int | None, FloorTerms]) -> Iterator[tuple[str, int, set[FloorTerms]]]:
        """Connections, and how many of their tenants have which accounts in one limit, by its terms in each policy."""
        for connection, tenants, policies in self.under(terms):
            yield connection, tenants, {terms[policy] for policy in policies}

    def under(self, limit: Collection[int | None]) -> Iterator[tuple[str, int, set[int | None]]]:
        """Connections, and how many of their tenants stand under which of the policies that have one limit."""
        for rules, tenants in self.counts.items():
            own = rules.policy if rules.policy in limit else self.default
            if tenants > 0:
                yield rules.connection, tenants, {policy for policy in (own, *rules.of_actions) if policy in limit}

    def with_one(self, rules: FloorRules) -> Tenants:
        """And one tenant more."""
        return replace(self, counts={**self.counts, rules: self.counts.get(rules, 0) + 1})


def _tenants(promising: Collection[int], *, but: int | None = None) -> Tenants:
    """As they are stored, without one of them; two queries, however many there are.

    ``promising``: the policies with a floor, so that no others are looked for among those of actions.
    """
    default = Assignment.objects.filter(target=Assignment.Target.DEFAULT).values_list("policy_id", flat=True).first()
    others = Tenant.objects.all() if but is None else Tenant.objects.exclude(pk=but)
    rows = others.values_list("connection__name", "assignments__policy_id")
    counted = rows.order_by().annotate(tenants=Count("pk"))
    counts = Counter({FloorRules(connection, policy): tenants for connection, policy, tenants in counted})
    for rules in _with_actions(others, promising):
        counts[rules._replace(of_actions=frozenset())] -= 1
        counts[rules] += 1
    return Tenants(default, counts)


def _with_actions(among: QuerySet[Tenant], promising: Collection[int]) -> Iterator[FloorRules]:
    """Those tenants that have actions under one of these policies."""
    given = among.filter(actions__assignments__policy__in=promising).order_by()
    names = ("pk", "connection__name", "assignments__policy_id", "actions__assignments__policy_id")
    found: dict[tuple[int, str, int | None], set[int]] = defaultdict(set)
    for tenant, connection, policy, of_action in given.values_list(*names).distinct():
        found[tenant, connection, policy].add(of_action)
    for (_tenant, connection, policy), of_actions in found.items():
        yield FloorRules(connection, policy, frozenset(of_actions))


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


def smallest_part(policy: QuotaPolicy, line: QuotaLimit) -> tuple[str, int, float]:
    """The smallest part of a limit that its weight brings a tenant without a floor if all tenants of a connection call
    (1: all of it), after the connection and how many tenants that is.
    """
    terms = _terms(policy, line)
    weights, tenants, least = Counter[str](), Counter[str](), dict[str, int]()
    for connection, found, accounts in _tenants({known for known in terms if known is not None}).accounts(terms):
        tenants[connection] += found if accounts else 0
        weights[connection] += found * sum(account.weight for account in accounts)
        for account in accounts:
            if not account.floor:
                least[connection] = min(account.weight, least.get(connection, account.weight))
    part, name = min(((weight / weights[name], name) for name, weight in least.items()), default=(1.0, ""))
    return name, tenants[name], part


def _terms(policy: QuotaPolicy, line: QuotaLimit) -> dict[int | None, FloorTerms]:
    """A limit's terms in every policy that has it, in one of them as it is edited.

    A policy that is not stored yet is assigned to nobody, so it promises nothing. As None it would stand for all
    tenants that have no policy of their own.
    """
    others = QuotaLimit.objects.filter(name=line.name, shared=True).exclude(policy=policy.pk)
    terms: dict[int | None, FloorTerms] = {other.policy_id: FloorTerms.of(other) for other in others}
    if policy.pk is not None:
        terms[policy.pk] = FloorTerms.of(line)
    return terms


def _most_promised(policy: QuotaPolicy, line: QuotaLimit) -> tuple[int, str]:
    """The largest sum of floors on one connection whose tenants have this policy, and its name."""
    terms = _terms(policy, line)
    tenants = _tenants(_promising(terms))
    sums = tenants.promised(terms)
    its = {connection for connection, _count, policies in tenants.under(terms) if policy.pk in policies}
    return max(((sums[name], name) for name in its), default=(0, ""))


def _promising(terms: Mapping[int | None, FloorTerms]) -> set[int]:
    return {policy for policy, its in terms.items() if its.floor and policy is not None}


def fault_of_tenant(row: Tenant) -> dict[str, str]:
    """Why a tenant cannot join this connection, by field; nothing for one that stays on its own."""
    if row.connection_id is None or Tenant.objects.filter(pk=row.pk, connection=row.connection_id).exists():
        return {}
    said = _(
        "With this tenant, the floors of the tenants of connection {connection} in limit {limit} add up to {sum}, and"
        " the limit has {most}. Choose another connection, or lower a floor or raise the limit first."
    )
    found = _fault(lambda tenants: tenants(row.pk).with_one(_rules_of(row)))
    return {"connection": said.format(**found)} if found else {}


def fault_of_assignment(row: Assignment) -> dict[str, str]:
    """The same for a policy that everyone, a tenant or an action is given."""
    if row.policy_id is None:
        return {}
    same = Assignment.objects.filter(pk=row.pk, policy=row.policy_id, target=row.target)
    if same.filter(tenant=row.tenant_id, action=row.action_id).exists():
        return {}
    said = _(
        "With this policy, the floors of the tenants of connection {connection} in limit {limit} add up to {sum}, and"
        " the limit has {most}. Choose another policy, or lower the floor or raise the limit first."
    )
    found = _fault(lambda tenants: _assigned(row, tenants))
    return {"policy": said.format(**found)} if found else {}


def _assigned(row: Assignment, tenants: Callable[[int | None], Tenants]) -> Tenants:
    if row.target == Assignment.Target.DEFAULT:
        return replace(tenants(None), default=row.policy_id)
    tenant = row.action.tenant if row.action else row.tenant
    assert tenant is not None  # an assignment names its target
    rules = _rules_of(tenant, but=row.pk)
    if row.action:
        rules = rules._replace(of_actions=rules.of_actions | {row.policy_id})
    else:
        rules = rules._replace(policy=row.policy_id)
    return tenants(tenant.pk).with_one(rules)


def _rules_of(tenant: Tenant, *, but: int | None = None) -> FloorRules:
    """As they are stored, without one of the assignments."""
    rows = Assignment.objects.exclude(pk=but or 0)
    own = rows.filter(tenant=tenant.pk).values_list("policy_id", flat=True).first() if tenant.pk else None
    of_actions = rows.filter(action__tenant=tenant.pk).values_list("policy_id", flat=True) if tenant.pk else ()
    return FloorRules(tenant.connection.name, own, frozenset(of_actions))


def _fault(after: Callable[[Callable[[int | None], Tenants]], Tenants]) -> dict[str, str] | None:
    """The first limit whose floors add up to more than it has after an edit, and to more than before.

    ``after``: the tenants then, by those that are stored without the one of an ID.
    """
    limits: dict[str, dict[int | None, QuotaLimit]] = defaultdict(dict)
    for line in QuotaLimit.objects.filter(shared=True):
        limits[line.name][line.policy_id] = line
    terms = {name: {policy: FloorTerms.of(line) for policy, line in lines.items()} for name, lines in limits.items()}
    promising = {policy for of_limit in terms.values() for policy in _promising(of_limit)}
    if not promising:
        return None
    before, then = _tenants(promising), after(lambda but: _tenants(promising, but=but))
    for name, lines in limits.items():
        had, most = before.promised(terms[name]), _smallest(lines, then)
        for connection, units in then.promised(terms[name]).items():
            if units > max(most.get(connection, units), had[connection]):
                return {"connection": connection, "limit": name, "sum": number(units), "most": number(most[connection])}
    return None


def _smallest(lines: Mapping[int | None, QuotaLimit], tenants: Tenants) -> dict[str, int]:
    """What a limit has on each connection: the least of those policies that tenants of the connection have."""
    units: dict[str, int] = {}
    for connection, _count, policies in tenants.under(lines):
        for each in policies:
            has = rules_of(lines[each].algorithm).capacity_of(lines[each])
            units[connection] = min(has, units.get(connection, has))
    return units
