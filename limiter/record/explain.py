"""Why a call was refused: what was in force then, what was counted, who had set it, and what would have let it pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from limiter.core.algorithms import RULES
from limiter.core.types import CountedPer
from limiter.policies import versions
from limiter.policies.models import QuotaPolicy
from limiter.record.models import MultiplierChange, ThrottleEvent
from limiter.record.models.event import UPSTREAM


@dataclass(frozen=True, slots=True)
class LimitThen:
    """One limit as it stood when the call was decided."""

    name: str
    policy: str
    policy_version: int
    algorithm: str
    counted_per: str
    quota: int
    burst: int | None
    window_seconds: float | None
    used: int
    effective_limit: int
    shadow: bool
    refused: bool
    passes_at: datetime | None
    """When this limit would have let it pass; None for a limit that never would, or that did."""


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
            "limits": [asdict(limit) for limit in self.limits],
            "multiplier": asdict(self.multiplier),
            "policy": asdict(self.policy),
            "passes_at": self.passes_at,
            "remedies": list(self.remedies),
        }


_ALONE = (
    "The limiter's store was away: one worker decided this by itself, by the policy's failure mode,"
    " and counted its own calls against its own share of the limit."
)


def event_of(decision_id: str, *, among: QuerySet[ThrottleEvent]) -> ThrottleEvent | None:
    """The event of a decision, among those that whoever asks sees. One that a flood left no row of its own has none."""
    return among.filter(decision_id=decision_id).order_by("pk").first()


def explain(event: ThrottleEvent) -> Explanation:
    """Why the call was refused, from the event and from the record around it."""
    limits = tuple(_limit(event, payload) for payload in event.limits)
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


def _limit(event: ThrottleEvent, payload: Mapping[str, Any]) -> LimitThen:
    wait_us = payload["wait_us"]
    return LimitThen(
        name=payload["name"],
        policy=payload["policy_name"],
        policy_version=payload["policy_version"],
        algorithm=payload["algorithm"],
        counted_per=payload["counted_per"],
        quota=payload["quota"],
        burst=payload["burst"] or None,
        window_seconds=payload["window_us"] / 1_000_000 or None,
        used=payload["used"],
        effective_limit=payload["effective"],
        shadow=payload["shadow"],
        refused=wait_us != 0,
        passes_at=event.at + timedelta(microseconds=wait_us) if wait_us > 0 else None,
    )


def _sentence(event: ThrottleEvent, limits: Sequence[LimitThen]) -> str:
    if event.alone:
        return f"{_counted(event, limits)} {_ALONE}"
    return _counted(event, limits)


def _counted(event: ThrottleEvent, limits: Sequence[LimitThen]) -> str:
    if event.limit_name == UPSTREAM:
        return (
            f"{_who(event)} held back: the upstream had said to another call that it takes none for"
            f" {(event.retry_after_ms or 0) / 1000:.3f} s. It is charged to no limit."
        )
    if not event.limit_name:
        return f"{_who(event)} refused uncounted: its policy lets no call pass without the limiter's store."
    bound = next((limit for limit in limits if limit.name == event.limit_name), None)
    what = "would have been refused (shadow)" if event.shadow else "was refused"
    who = "call" if event.count == 1 else f"{event.count:,} calls like this"
    counted = f", counted per {_label(bound.counted_per)}" if bound else ""
    window = f" in {bound.window_seconds:g} s" if bound and bound.window_seconds else ""
    cut = f", cut to {event.multiplier:.0%} of {event.quota:,}" if event.effective_limit < event.quota else ""
    return (
        f"{'This ' if event.count == 1 else ''}{who} {what if event.count == 1 else what.replace('was', 'were')}:"
        f" {event.used:,} of {event.effective_limit:,} units{window} were in use under the limit '{event.limit_name}'"
        f"{cut}{counted}, and it needed {event.cost:,}."
    )


def _who(event: ThrottleEvent) -> str:
    return "This call was" if event.count == 1 else f"{event.count:,} calls like this were"


def _label(counted_per: str) -> str:
    """In words; a word that only a newer release knows stands for itself."""
    return CountedPer(counted_per).label if counted_per in set(CountedPer) else counted_per


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
        p95_ms=event.p95_ms if known else change.p95_ms,
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
        slots = [limit.name for limit in refusing if _holds_slots(limit)]
        if slots:
            payload.append(
                f"The end of a running call that held a slot of '{slots[0]}'; the wait it was told is a hint."
            )
        if len(slots) < len(refusing):
            wait_s = (event.retry_after_ms or 0) / 1000
            payload.append(f"Waiting {wait_s:.3f} s, until {passes_at:%Y-%m-%d %H:%M:%S.%f} UTC.")
    if event.limit_name == UPSTREAM:
        return payload
    if event.multiplier < 1 and all(_fits_uncut(limit, event.cost) for limit in refusing):
        payload.append(f"No cut: without the multiplier of {event.multiplier:g} the limits had room.")
    for limit in refusing:
        concurrency = _holds_slots(limit)
        needed = limit.used + (1 if concurrency else event.cost)
        payload.append(
            f"A limit '{limit.name}' that comes to at least {needed:,} (it came to {limit.effective_limit:,})."
        )
    return payload


def _holds_slots(limit: LimitThen) -> bool:
    """An algorithm that only a newer release knows is taken for one that counts units."""
    rules = RULES.get(limit.algorithm)
    return rules is not None and rules.holds_slots


def _fits_uncut(limit: LimitThen, cost: int) -> bool:
    needed = 1 if _holds_slots(limit) else cost
    return limit.used + needed <= (limit.burst or limit.quota)
