"""Why a call was refused: the limits in force, the counts, the author of the policy, and the remedies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from limiter.core.amounts import with_number
from limiter.core.in_flight import IN_FLIGHT
from limiter.policies import versions
from limiter.policies.models import QuotaPolicy
from limiter.record.limit_names import limit_in_words
from limiter.record.limits_then import LimitThen, limit_then, of_share, scope_of, whole_second
from limiter.record.models import MultiplierChange, ThrottleEvent
from limiter.record.models.event import UPSTREAM
from quota_platform.base.languages import number

_A_MINUTE = 60
"""The window of a pace, in seconds; a pause is described by that of a second."""


@dataclass(frozen=True, slots=True)
class MultiplierThen:
    """The multiplier, the p95 it was computed from as far as that is known, and the change that had set it."""

    value: float
    p95_ms: float | None
    samples: int | None
    threshold_ms: float | None
    set_at: datetime | None


@dataclass(frozen=True, slots=True)
class PolicyThen:
    """The policy whose limit bound, who had made that version, when and why; and the version of today."""

    name: str
    version: int
    changed_by: str
    changed_at: datetime | None
    reason: str
    version_now: int | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that is known about a refusal.

    ``passes_at``: when the call would have passed; None is never. Where a slot was missing it is a hint.
    """

    event: ThrottleEvent
    sentence: str
    limits: tuple[LimitThen, ...]
    multiplier: MultiplierThen
    policy: PolicyThen
    passes_at: datetime | None
    remedies: tuple[str, ...]

    def data(self) -> dict[str, Any]:
        """As plain values, the event left out."""
        return {
            "sentence": self.sentence,
            "alone": self.event.alone,
            "one_of": self.event.count,
            "limits": [asdict(limit) for limit in self.limits],
            "multiplier": asdict(self.multiplier),
            "policy": asdict(self.policy),
            "passes_at": self.passes_at,
            "remedies": list(self.remedies),
        }


_ALONE = gettext_noop(
    "The limiter's store was unavailable: one worker decided this by itself, by the policy's failure mode,"
    " and counted its own calls against its own share of the limit."
)


def explain(event: ThrottleEvent) -> Explanation:
    """Why the call was refused, from the event and from the record around it."""
    limits = _limits(event)
    never = event.retry_after_ms is None
    passes_at = None if never else event.at + timedelta(milliseconds=event.retry_after_ms or 0)
    return Explanation(
        event=event,
        sentence=_sentence(event, limits),
        limits=limits,
        multiplier=_multiplier(event),
        policy=_policy(event),
        passes_at=passes_at,
        remedies=tuple(_remedies(event, limits, passes_at)),
    )


def why(event: ThrottleEvent) -> str:
    """The sentence of its explanation, from the event alone."""
    return _sentence(event, _limits(event))


def _limits(event: ThrottleEvent) -> tuple[LimitThen, ...]:
    return tuple(limit_then(event, payload) for payload in event.limits)


def _sentence(event: ThrottleEvent, limits: Sequence[LimitThen]) -> str:
    if event.alone:
        return f"{_counted(event, limits)} {_(_ALONE)}"
    bound = next((limit for limit in limits if limit.name == event.limit_name), None)
    said = of_share(bound.share) if bound and bound.share else ""
    return f"{_counted(event, limits)} {said}".rstrip()


def _counted(event: ThrottleEvent, limits: Sequence[LimitThen]) -> str:
    if event.limit_name == UPSTREAM:
        pace = next((limit for limit in limits if limit.name == UPSTREAM and limit.window_seconds == _A_MINUTE), None)
        if pace is not None:
            return _above_pace(event, pace)
        return ngettext(
            "This call was held back: the upstream had asked an earlier call to wait {seconds} s."
            " It is charged to no limit.",
            "{count} calls like this were held back: the upstream had asked an earlier call to wait"
            " {seconds} s. They are charged to no limit.",
            event.count,
        ).format(count=number(event.count), seconds=wait_in_seconds(event))
    if event.limit_name == IN_FLIGHT:
        return ngettext(
            "This call was refused: {used} of {allowed} allowed calls of all tenants were in flight to the upstream."
            " The connection learns this number from the upstream's latency.",
            "{count} calls like this were refused: {used} of {allowed} allowed calls of all tenants were in flight to"
            " the upstream. The connection learns this number from the upstream's latency.",
            event.count,
        ).format(count=number(event.count), used=number(event.used), allowed=number(event.effective_limit))
    if not event.limit_name:
        return ngettext(
            "This call was refused uncounted: its policy lets no call pass without the limiter's store.",
            "{count} calls like this were refused uncounted: their policy lets no call pass without the limiter's"
            " store.",
            event.count,
        ).format(count=number(event.count))
    bound = next((limit for limit in limits if limit.name == event.limit_name), None)
    return _outcome(event).format(
        count=number(event.count),
        usage=_usage(event, bound),
        cut=_cut(event) if event.effective_limit < event.quota else "",
        counted=scope_of(bound) if bound else "",
        cost=number(event.cost),
    )


def _above_pace(event: ThrottleEvent, pace: LimitThen) -> str:
    calls = ngettext("{count} call", "{count} calls", pace.quota).format(count=number(pace.quota))
    return ngettext(
        "This call was held back: it was above the pace of {calls} a minute that the upstream takes."
        " It is charged to no limit.",
        "{count} calls like this were held back: they were above the pace of {calls} a minute that the upstream takes."
        " They are charged to no limit.",
        event.count,
    ).format(count=number(event.count), calls=calls)


def _outcome(event: ThrottleEvent) -> str:
    if event.shadow:
        return ngettext(
            "This call would have been refused (shadow): {usage}{cut}{counted}, and it needed {cost}.",
            "{count} calls like this would have been refused (shadow): {usage}{cut}{counted}, and it needed {cost}.",
            event.count,
        )
    return ngettext(
        "This call was refused: {usage}{cut}{counted}, and it needed {cost}.",
        "{count} calls like this were refused: {usage}{cut}{counted}, and it needed {cost}.",
        event.count,
    )


def _usage(event: ThrottleEvent, bound: LimitThen | None) -> str:
    window = int(bound.window_seconds or 0) if bound else 0
    if window:
        said = _("{used} of {most} units in {window} were in use under the limit '{limit}'")
    else:
        said = _("{used} of {most} units were in use under the limit '{limit}'")
    return said.format(
        used=number(event.used),
        most=number(event.effective_limit),
        window=with_number(window),
        limit=event.limit_name,
    )


def _cut(event: ThrottleEvent) -> str:
    """Without a cut the rest is kept for workers that decide alone, or decided so just before."""
    if event.multiplier >= 1:
        return _(", a part of {quota}").format(quota=number(event.quota))
    share = number(round(event.multiplier * 100))
    return _(", cut to {share}% of {quota}").format(share=share, quota=number(event.quota))


def wait_in_seconds(event: ThrottleEvent) -> str:
    """Rounded up to a hundredth of a second."""
    return number(math.ceil((event.retry_after_ms or 0) / 10) / 100)


def _multiplier(event: ThrottleEvent) -> MultiplierThen:
    changes = MultiplierChange.objects.filter(
        tenant_id=event.tenant_id, action_id__in=["", event.action_id], at__lte=event.at
    )
    change = changes.order_by("-at", "-id").first()
    if change is None or abs(change.after - event.multiplier) > 1e-6:
        return MultiplierThen(event.multiplier, event.p95_ms, event.p95_samples, event.threshold_ms, None)
    known = event.p95_ms is not None
    return MultiplierThen(
        value=event.multiplier,
        p95_ms=event.p95_ms if known else change.known_p95_ms,
        samples=event.p95_samples if known else change.samples,
        threshold_ms=event.threshold_ms if known else change.threshold_ms,
        set_at=change.at,
    )


def _policy(event: ThrottleEvent) -> PolicyThen:
    name, version = event.policy_name, event.policy_version
    recorded = QuotaPolicy.history.filter(name=name, version=version).exclude(history_type="-").order_by("-history_id")
    policy_id = recorded.values_list("id", flat=True).first()
    then = versions.version_of(policy_id, version) if policy_id is not None else None
    now = QuotaPolicy.objects.filter(pk=policy_id).values_list("version", flat=True).first()
    if then is None:
        return PolicyThen(name, version, "", None, "", now)
    return PolicyThen(name, version, then.by, then.at, then.reason, now)


def _remedies(event: ThrottleEvent, limits: Sequence[LimitThen], passes_at: datetime | None) -> list[str]:
    refusing = [limit for limit in limits if limit.refused and limit.shadow == event.shadow]
    payload = []
    if passes_at is not None:
        slots = [limit.name for limit in refusing if limit.holds_slots]
        if slots:
            said = _("The end of a running call that held a slot of '{limit}'; the wait in its response is a hint.")
            payload.append(said.format(limit=limit_in_words(slots[0])))
        if len(slots) < len(refusing):
            said = _("Waiting {seconds} s, until {at} UTC.")
            at = f"{whole_second(passes_at):%Y-%m-%d %H:%M:%S}"
            payload.append(said.format(seconds=wait_in_seconds(event), at=at))
    if event.limit_name == UPSTREAM:
        return payload
    if event.multiplier < 1 and all(_fits_uncut(limit, event.cost) for limit in refusing):
        said = _("No cut: without the multiplier of {multiplier} the limits had room.")
        payload.append(said.format(multiplier=number(event.multiplier)))
    if event.limit_name == IN_FLIGHT:
        payload.append(_("A faster upstream: the number follows it within seconds."))
    for limit in refusing:
        if limit.name == IN_FLIGHT:
            continue  # learned: nobody sets it
        concurrency = limit.holds_slots
        needed = limit.used + (1 if concurrency else event.cost)
        said = _("A limit '{limit}' that comes to at least {needed} (it came to {most}).")
        name, most = limit_in_words(limit.name), number(limit.effective_limit)
        payload.append(said.format(limit=name, needed=number(needed), most=most))
    return payload


def _fits_uncut(limit: LimitThen, cost: int) -> bool:
    needed = 1 if limit.holds_slots else cost
    return limit.used + needed <= (limit.burst or limit.quota)
