"""What policies that share a limit hardly mean together: units that others ignore, and shares of less than a call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.utils.translation import gettext as _

from limiter.core.algorithms import rules_of
from limiter.policies import floors
from limiter.policies.line_checks import limit_checks
from limiter.policies.models import QuotaLimit, QuotaPolicy
from quota_platform.base.languages import number


def pool_advice(policy: QuotaPolicy, lines: Iterable[QuotaLimit]) -> Iterator[str]:
    """Sentences about the shared limits of a policy, by the stored ones of others; a few queries for each limit.

    None about a limit as it is typed that is refused: its weight may be 0 or missing.
    """
    for line in lines:
        if line.shared and all(sound for _field, sound, *_remedy in limit_checks(line)):
            yield from _unheeded(policy, line)
            yield from _small_shares(policy, line)


def _unheeded(policy: QuotaPolicy, line: QuotaLimit) -> Iterator[str]:
    """Calls under a policy that holds no units do not heed those that another one holds."""
    if not rules_of(line.algorithm).reserves:
        return
    others = QuotaLimit.objects.filter(name=line.name, shared=True, algorithm=line.algorithm).exclude(policy=policy.pk)
    holding = others.filter(policy__reserve_seconds__gt=0)
    unlike = others.filter(policy__reserve_seconds=0) if policy.reserve_seconds else holding
    names = sorted(set(unlike.values_list("policy__name", flat=True)))
    if names:
        said = _(
            "{limit}: {policies} share this limit and hold units for refused calls; calls under this policy take them."
            " Set appointments hold (s) here too."
        )
        if policy.reserve_seconds:
            said = _(
                "{limit}: {policies} share this limit and hold no units for refused calls; their calls take those that"
                " are held here. Set appointments hold (s) there too."
            )
        yield said.format(limit=line.name, policies=", ".join(names))


def _small_shares(policy: QuotaPolicy, line: QuotaLimit) -> Iterator[str]:
    """Where all tenants of a connection call at once, and one of them has a part of less than one unit."""
    units = rules_of(line.algorithm).capacity_of(line)
    connection, tenants, least = floors.smallest_part(policy, line)
    if tenants and units * least < 1:
        said = _(
            "{limit}: {tenants} tenants of connection {connection} share {units} units. If all call at once, the"
            " smallest share is less than one call. Raise the limit, or let fewer tenants share it."
        )
        yield said.format(limit=line.name, connection=connection, tenants=number(tenants), units=number(units))
