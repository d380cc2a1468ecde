"""Checks all stored policies: whether each compiles, who it applies to, and which limits hardly do as meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Count, Q

from limiter.policies import stored
from limiter.policies.advice import idle_limits
from limiter.policies.compiled import PolicySpec
from limiter.policies.models import Assignment, QuotaLimit, QuotaPolicy
from limiter.policies.plan import build_plan

EVERYONE = Assignment.Target.DEFAULT


@dataclass(frozen=True, slots=True)
class CheckedPolicy:
    """One policy; ``problem`` is empty when it compiles."""

    name: str
    version: int
    mode: str
    limits: int
    applies_to: str
    problem: str


@dataclass(frozen=True, slots=True)
class Report:
    """``warnings``: sentences about policies that compile and yet may not do as meant."""

    policies: tuple[CheckedPolicy, ...]
    warnings: tuple[str, ...]

    @property
    def problems(self) -> list[str]:
        return [policy.problem for policy in self.policies if policy.problem]


def check_policies() -> Report:
    """The policies as they are stored now, compiled as workers compile them; a fixed number of queries."""
    counts = {target: Count("assignments", filter=Q(assignments__target=target)) for target in Assignment.Target.values}
    policies = {row.pk: row for row in QuotaPolicy.objects.prefetch_related("limits").annotate(**_prefixed(counts))}
    compiled = stored.read_policies(policies)
    sound = {pk: spec for pk, spec in compiled.items() if isinstance(spec, PolicySpec)}
    return Report(
        policies=tuple(_checked(row, compiled.get(row.pk)) for row in policies.values()),
        warnings=tuple(_warnings(policies, sound)),
    )


def _prefixed(counts: Mapping[str, Count]) -> dict[str, Count]:
    return {f"for_{target}": count for target, count in counts.items()}


def _checked(row: QuotaPolicy, compiled: PolicySpec | stored.Unusable | None) -> CheckedPolicy:
    applies_to = [
        text
        for count, text in (
            (getattr(row, "for_default", 0), "everyone"),
            (getattr(row, "for_tenant", 0), _number(getattr(row, "for_tenant", 0), "tenant")),
            (getattr(row, "for_action", 0), _number(getattr(row, "for_action", 0), "action")),
        )
        if count
    ]
    return CheckedPolicy(
        name=row.name,
        version=row.version,
        mode=row.mode,
        limits=len(row.limits.all()),
        applies_to=", ".join(applies_to) or "nobody",
        problem="" if isinstance(compiled, PolicySpec) else str(compiled),
    )


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _warnings(rows: Mapping[int, QuotaPolicy], sound: Mapping[int, PolicySpec]) -> Iterator[str]:
    stacks = _stacks()
    if not any(stack[0] for stack in stacks):
        yield "Everyone: no policy is assigned, so tenants without a policy of their own are not limited."
    for policy in sound.values():
        if not policy.limits:
            yield f"{policy.name}: has no limits, so by itself it limits nothing."
    said: list[tuple[set[int], str]] = []
    for stack in sorted(stacks, key=lambda stack: (len(_present(stack)), str(stack))):
        ids = _present(stack)
        if not ids or not all(policy_id in sound for policy_id in ids):
            continue
        lines = _in_force([rows[policy_id] for policy_id in ids], [sound[policy_id] for policy_id in ids])
        for sentence in idle_limits(rows[ids[-1]], lines):
            # Once is enough: what a part of the stack does, the whole does too.
            if not any(sentence == before and part <= set(ids) for part, before in said):
                said.append((set(ids), sentence))
                yield f"{' → '.join(sound[policy_id].name for policy_id in ids)}: {sentence}"


def _present(stack: Iterable[int | None]) -> list[int]:
    return [policy_id for policy_id in stack if policy_id is not None]


def _stacks() -> set[tuple[int | None, int | None, int | None]]:
    """Every combination of default, tenant and action policy that some call stands under."""
    everyone = Assignment.objects.filter(target=EVERYONE).values_list("policy_id", flat=True).first()
    tenants = Assignment.objects.filter(target=Assignment.Target.TENANT).values_list("policy_id", flat=True)
    actions = Assignment.objects.filter(target=Assignment.Target.ACTION).values_list(
        "action__tenant__assignments__policy_id", "policy_id"
    )
    return {
        (everyone, None, None),
        *((everyone, policy_id, None) for policy_id in tenants.distinct().order_by()),
        *((everyone, *pair) for pair in actions.distinct().order_by()),
    }


def _in_force(rows: Sequence[QuotaPolicy], stack: Sequence[PolicySpec]) -> list[QuotaLimit]:
    """The lines of the limits that refuse under these policies, as a worker puts them together."""
    lines = {(row.name, line.name): line for row in rows for line in row.limits.all()}
    return [lines[limit.policy_name, limit.name] for limit in build_plan(stack).limits if not limit.shadow]
