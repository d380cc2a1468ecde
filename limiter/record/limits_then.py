"""The limits of a refused call as they stood, and their words in its explanation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from limiter.core import sharing, values
from limiter.core.algorithms import RULES
from limiter.core.sharing import Refused
from limiter.core.types import CountedPer
from limiter.record.limit_names import limit_in_words
from limiter.record.models import ThrottleEvent
from quota_platform.base.languages import number


def whole_second(moment: datetime) -> datetime:
    """The first whole second that is not before it."""
    return moment + timedelta(microseconds=-moment.microsecond % 1_000_000)


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
    share: dict[str, int] | None
    """Of a shared limit: what of it refused, the share, units used of it and units kept for others.

    Of those that 0.2.0 did not write also its even part, and the units borrowed above it and lent of it.
    """
    counted_by: str
    """The header or JSON Pointer by whose values it counts; "" for a limit that counts by none."""
    value: str
    """The first digits of the digest of the call's value, or what stands for it (:mod:`limiter.core.values`)."""

    @property
    def passes_by(self) -> datetime | None:
        """``passes_at`` for people, who read whole seconds."""
        return None if self.passes_at is None else whole_second(self.passes_at)

    @property
    def in_words(self) -> str:
        return limit_in_words(self.name)

    @property
    def algorithm_in_words(self) -> str:
        """A name that only a newer release knows stands for itself."""
        return _(RULES[self.algorithm].label) if self.algorithm in RULES else self.algorithm

    @property
    def holds_slots(self) -> bool:
        """Whether a call that ends makes room. What only a newer release knows is taken for one that counts units."""
        return self.algorithm in RULES and RULES[self.algorithm].holds_slots


def limit_then(event: ThrottleEvent, payload: Mapping[str, Any]) -> LimitThen:
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
        share=_with_loans(payload.get("share")),
        counted_by=payload.get("counted_by", ""),
        value=payload.get("value", ""),
    )


def _with_loans(share: dict[str, int] | None) -> dict[str, int] | None:
    if share is None or "even" not in share:
        return share
    even, used = share["even"], share["used"]
    lent = sharing.lent(share["refused"], even=even, share=share["share"], used=used)
    return share | {"borrowed": max(0, used - even), "lent": lent}


def of_share(share: Mapping[str, int]) -> str:
    """Which share of a shared limit refused, and the units that were borrowed or lent."""
    return f"{_refused_by(share)} {_loans(share)}".strip()


def _loans(share: Mapping[str, int]) -> str:
    if share.get("borrowed"):
        return _("It had borrowed {units} of these from others.").format(units=number(share["borrowed"]))
    if share.get("lent"):
        said = ngettext(
            "Of its even part of {even} units {units} was lent to others.",
            "Of its even part of {even} units {units} were lent to others.",
            share["lent"],
        )
        return said.format(even=number(share["even"]), units=number(share["lent"]))
    return ""


def _refused_by(share: Mapping[str, int]) -> str:
    words = {
        Refused.CEILING: _("Its tenant had {used} of them, and its ceiling is {share}."),
        Refused.SHARE: ngettext(
            "Its tenant had {used} of them, its share was {share}, and {owed} was kept for others.",
            "Its tenant had {used} of them, its share was {share}, and {owed} were kept for others.",
            share["owed"],
        ),
        Refused.FULL: _("Its tenant had {used} of them, its share was {share}; no unit was free."),
    }
    said = words.get(Refused(share["refused"]) if share["refused"] in set(Refused) else Refused.NOTHING, "")
    return said.format(**{name: number(units) for name, units in share.items()})


def scope_of(bound: LimitThen) -> str:
    said = _(", counted per {subject}").format(subject=_label(bound.counted_per))
    if not bound.counted_by:
        return said
    of_values = {
        values.MISSING: _(" and for all calls without a value of {place} together"),
        values.OTHERS: _(" and for all calls together with values of {place} beyond the most that it counts at once"),
    }.get(bound.value, _(" and for one value of {place}, known as {value}"))
    return said + of_values.format(place=bound.counted_by, value=bound.value)


def _label(counted_per: str) -> str:
    """In words; a word that only a newer release knows stands for itself."""
    return _(CountedPer(counted_per).label) if counted_per in set(CountedPer) else counted_per
