"""What a policy may say but hardly means: limits that another limit makes idle, windows that follow alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from limiter.core.algorithms import rules_of
from limiter.core.amounts import MISSING, duration, gettext, number
from limiter.core.types import CountedPer
from limiter.policies.models import QuotaLimit, QuotaPolicy
from limiter.policies.pool_advice import pool_advice

_NARROWER = {
    CountedPer.ACTION: {CountedPer.ACTION},
    CountedPer.TENANT: {CountedPer.ACTION, CountedPer.TENANT},
    CountedPer.KEY: {CountedPer.KEY},
    CountedPer.CONNECTION: {CountedPer.ACTION, CountedPer.TENANT, CountedPer.CONNECTION},
}
"""What a limit counted per the first also bounds: no action is called more often than its tenant calls."""


def advice(policy: QuotaPolicy, limits: Iterable[QuotaLimit]) -> list[str]:
    """Sentences about limits that do nothing, windows that follow the upstream without the better means, and pools."""
    limits = list(limits)
    return [*idle_limits(policy, limits), *_windows_alone(policy, limits), *pool_advice(policy, limits)]


def idle_limits(policy: QuotaPolicy, limits: Iterable[QuotaLimit]) -> list[str]:
    """Sentences about limits of this policy that can never refuse a call, because another one refuses first."""
    windowed = [line for line in limits if line.window_seconds and rules_of(line.algorithm).has_window]
    return [
        gettext("{idle} is never reached: {binding} lets at most {most} units pass per {duration}.").format(
            idle=idle.name, binding=binding.name, most=number(most), duration=duration(idle.window_seconds)
        )
        for idle, binding, most in _idle(policy, windowed)
    ]


def _windows_alone(policy: QuotaPolicy, limits: list[QuotaLimit]) -> Iterator[str]:
    if policy.cut_carrier != QuotaPolicy.CutCarrier.LIMITS:
        return
    following = [line for line in limits if policy.adaptive and line.adaptive]
    windows = [line.name or MISSING for line in following if rules_of(line.algorithm).has_window]
    if windows and not any(rules_of(line.algorithm).holds_slots for line in following):
        yield gettext(
            "{names}: a window that shrinks lets nothing pass until it has emptied. Put an adaptive concurrency limit"
            " beside it, or let the cut fall on calls in flight: both follow the upstream evenly."
        ).format(names=", ".join(windows))


def _idle(policy: QuotaPolicy, limits: list[QuotaLimit]) -> Iterator[tuple[QuotaLimit, QuotaLimit, int]]:
    """Each limit that another makes idle, with that other and the most it lets pass in the idle one's window."""
    for idle in limits:
        if idle.quota is None or not rules_of(idle.algorithm).can_be_idle:
            continue
        for binding in limits:
            if binding is idle or binding.quota is None or not _bounds(policy, binding, idle):
                continue
            most = rules_of(binding.algorithm).most_in(binding, idle.window_seconds or 0)
            # Of two equal limits name one only.
            if most < idle.quota or (most == idle.quota and limits.index(binding) < limits.index(idle)):
                yield idle, binding, most
                break


def _bounds(policy: QuotaPolicy, binding: QuotaLimit, idle: QuotaLimit) -> bool:
    """Whether the binding limit's count is at least the idle one's, and stays so when the multiplier changes."""
    if binding.counted_by and binding.counted_by != idle.counted_by:
        return False  # each value has a count of its own, and a call may come with any
    if CountedPer(idle.counted_per) not in _NARROWER[CountedPer(binding.counted_per)]:
        return False
    if not policy.adaptive or binding.adaptive == idle.adaptive:
        return True
    return binding.adaptive and policy.max_multiplier <= 1
