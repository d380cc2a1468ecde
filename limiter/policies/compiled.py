"""Policies as frozen values: one function compiles rows, and forms, API, check command and workers all call it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from limiter.core.adaptive import AdaptiveSettings
from limiter.core.algorithms import rules_of
from limiter.core.in_flight import CARRIER
from limiter.core.types import (
    MAX_QUOTA,
    MICROS,
    CountedPer,
    Limit,
    ServiceClass,
    Share,
)
from limiter.outage.modes import MODES
from limiter.policies.line_checks import ABOVE_0, ONE_OF, SECONDS, Bound, limit_checks, whole
from limiter.policies.models import QuotaLimit, QuotaPolicy
from limiter.policies.models.policy import MAX_RESERVE_SECONDS, MAX_WAIT_SECONDS, alert_fault
from quota_platform.base.languages import number

MAX_LEASE_S = 310
"""A call runs no longer than the longest deadline of a connection."""


class PolicyInvalid(Exception):
    """A policy that cannot compile. The message names policy, limit and field and says what to do about it."""

    def __init__(self, policy: str, *, limit: str | None = None, field: str, remedy: str) -> None:
        self.policy, self.limit, self.field, self.remedy = policy, limit, field, remedy
        said = _("policy {policy}") if limit is None else _("policy {policy}, limit {limit}")
        where = said.format(policy=repr(policy), limit=repr(limit))
        super().__init__(f"{where}, {field}: {remedy}")


class PolicyUnavailable(Exception):
    """A policy that a call stands under cannot compile and no earlier good version of it is left: answer 503.

    Callers see the message; ``problem``, for those who can mend it, names the fault.
    """

    def __init__(self, policy_id: int, problem: str = "") -> None:
        self.problem = problem
        super().__init__(_("policy {policy} cannot be compiled").format(policy=policy_id))


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """One compiled policy. ``adaptive`` is None when the policy does not follow latency.

    ``store_failure``: a failure mode's name (:mod:`limiter.outage.modes`). ``reduced_status``: 429 or 503.
    """

    id: int | None
    name: str
    version: int
    mode: str
    store_failure: str
    reduced_status: int
    adaptive: AdaptiveSettings | None
    limits: tuple[Limit, ...]
    wait_seconds: int = 0
    reserve_seconds: int = 0


def compile_policy(row: QuotaPolicy, limits: Iterable[QuotaLimit]) -> PolicySpec:
    """The policy with these limits, ready to decide from; raises :class:`PolicyInvalid`.

    Takes saved rows and unsaved ones alike, so that a form can ask before it saves. Nothing is assumed to have been
    validated: rows written by SQL go through here too.
    """
    _check_choices(row)
    compiled: dict[str, Limit] = {}
    for line in limits:
        limit = _compile_limit(row, line)
        if limit.name in compiled:
            remedy = _("Give each limit a name of its own.")
            raise PolicyInvalid(row.name, limit=limit.name, field="name", remedy=remedy)
        compiled[limit.name] = limit
    if row.reserve_seconds and compiled and not any(limit.reserve_us for limit in compiled.values()):
        remedy = _("Nobody knows when a running call ends, so slots are not held: add a limit of another algorithm.")
        raise PolicyInvalid(row.name, limit=next(iter(compiled)), field="algorithm", remedy=remedy)
    return PolicySpec(
        id=row.pk,
        name=row.name,
        version=row.version,
        mode=row.mode,
        store_failure=row.store_failure,
        reduced_status=row.reduced_status,
        adaptive=_compile_adaptive(row) if row.adaptive else None,
        limits=tuple(_carried(row, list(compiled.values()))),
        wait_seconds=row.wait_seconds,
        reserve_seconds=row.reserve_seconds,
    )


def _carried(row: QuotaPolicy, limits: list[Limit]) -> Iterable[Limit]:
    """With a limit in flight that the cut falls on in place of windows, where the policy says so.

    As many calls as the lowest rate of the windows that adapt keeps in flight within the threshold (Little's law).
    """
    windows = [limit for limit in limits if limit.adaptive and limit.window_us]
    if row.cut_carrier != QuotaPolicy.CutCarrier.IN_FLIGHT or not windows:
        return limits
    lowest = min(Fraction(limit.quota, limit.window_us) for limit in windows)
    per_action = row.adaptive_scope == QuotaPolicy.AdaptiveScope.ACTION
    carrier = Limit(
        name=CARRIER,
        algorithm="concurrency",
        quota=min(MAX_QUOTA, max(1, math.ceil(lowest * row.latency_threshold_ms * 1000))),
        lease_us=MAX_LEASE_S * MICROS,
        counted_per=CountedPer.ACTION if per_action else CountedPer.TENANT,
        shadow=windows[0].shadow,
        policy_name=row.name,
        policy_version=row.version,
    )
    return [*(replace(limit, adaptive=limit.adaptive and not limit.window_us) for limit in limits), carrier]


def _check_choices(row: QuotaPolicy) -> None:
    choices: dict[str, list[Any]] = {
        "mode": QuotaPolicy.Mode.values,
        "store_failure": list(MODES),
        "reduced_status": QuotaPolicy.ReducedStatus.values,
        "adaptive_scope": QuotaPolicy.AdaptiveScope.values,
        "cut_carrier": QuotaPolicy.CutCarrier.values,
    }
    for field, known in choices.items():
        if getattr(row, field) not in known:
            raise PolicyInvalid(row.name, field=field, remedy=_remedy(ONE_OF, known))
    for field, most in (("wait_seconds", MAX_WAIT_SECONDS), ("reserve_seconds", MAX_RESERVE_SECONDS)):
        value = getattr(row, field)
        if not isinstance(value, int) or not 0 <= value <= most:
            raise PolicyInvalid(row.name, field=field, remedy=_("Give 0 to {most} seconds.").format(most=most))
    if fault := alert_fault(row.alert_at):
        raise PolicyInvalid(row.name, field="alert_at", remedy=fault)


def _compile_adaptive(row: QuotaPolicy) -> AdaptiveSettings:
    checks = (
        (
            "latency_threshold_ms",
            whole(row.latency_threshold_ms, high=600_000),
            gettext_noop("Give 1 to {bound} ms."),
            600_000,
        ),
        ("sensitivity", _positive(row.sensitivity), ABOVE_0, 0),
        ("min_multiplier", _positive(row.min_multiplier), ABOVE_0, 0),
        (
            "max_multiplier",
            _positive(row.max_multiplier)
            and _positive(row.min_multiplier)
            and row.max_multiplier >= row.min_multiplier,
            gettext_noop("Give a number not below the smallest multiplier."),
            0,
        ),
        ("min_samples", whole(row.min_samples, high=1000), gettext_noop("Give 1 to {bound}."), 1000),
        (
            "sample_size",
            whole(row.sample_size, high=1000) and whole(row.min_samples) and row.sample_size >= row.min_samples,
            gettext_noop("Give at most {bound} and at least the number of samples needed."),
            1000,
        ),
        ("sample_max_age_seconds", whole(row.sample_max_age_seconds, high=86_400), SECONDS, 86_400),
    )
    for field, sound, text, bound in checks:
        if not sound:
            raise PolicyInvalid(row.name, field=field, remedy=_remedy(text, bound))
    return AdaptiveSettings(
        latency_threshold_ms=row.latency_threshold_ms,
        sensitivity=row.sensitivity,
        min_multiplier=row.min_multiplier,
        max_multiplier=row.max_multiplier,
        sample_size=row.sample_size,
        min_samples=row.min_samples,
        sample_max_age_seconds=row.sample_max_age_seconds,
        cut_on_pushback=row.cut_on_pushback,
        per_action=row.adaptive_scope == QuotaPolicy.AdaptiveScope.ACTION,
    )


def _compile_limit(policy: QuotaPolicy, line: QuotaLimit) -> Limit:
    for field, sound, text, bound in limit_checks(line):
        if not sound:
            raise PolicyInvalid(policy.name, limit=line.name, field=field, remedy=_remedy(text, bound))
    for field, remedy in rules_of(line.algorithm).wrong(line):
        raise PolicyInvalid(policy.name, limit=line.name, field=field, remedy=remedy)
    limit = Limit(
        name=line.name,
        algorithm=line.algorithm,
        quota=line.quota,
        window_us=(line.window_seconds or 0) * MICROS,
        burst=line.burst or 0,
        lease_us=line.lease_seconds * MICROS if rules_of(line.algorithm).holds_slots else 0,
        counted_per=CountedPer(line.counted_per),
        shadow=policy.mode == QuotaPolicy.Mode.SHADOW,
        adaptive=line.adaptive and policy.adaptive,
        policy_name=policy.name,
        policy_version=policy.version,
        alert_at=tuple(policy.alert_at),
        reserve_us=policy.reserve_seconds * MICROS if rules_of(line.algorithm).reserves else 0,
        counted_by=line.counted_by,
        max_values=line.max_values if line.counted_by else 0,
    )
    return replace(limit, share=_compile_share(line, limit)) if line.shared else limit


def _compile_share(line: QuotaLimit, limit: Limit) -> Share:
    return Share(
        weight=line.share_weight,
        floor=line.share_floor,
        ceiling=line.share_ceiling or 0,
        service_class=ServiceClass(line.share_class),
        over_us=rules_of(line.algorithm).shared_over_us(limit),
    )


def _remedy(text: str, bound: Bound) -> str:
    """A text marked above, in the reader's language: made for a wrong value alone, since every policy is compiled."""
    said = number(bound) if isinstance(bound, int) else ", ".join(map(str, bound))
    return _(text).format(bound=said)


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value > 0
