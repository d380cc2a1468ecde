"""Policies, limits, assignments and overrides said in plain words: the same words in previews, lists and history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from limiter.core.algorithms import rules_of
from limiter.core.amounts import MISSING, with_number
from limiter.core.types import MICROS, CountedPer, Limit, ServiceClass, Share
from limiter.outage.modes import MODES
from limiter.policies.models import Assignment, Override, QuotaLimit, QuotaPolicy
from quota_platform.base import languages

_SHARED_BY = {
    CountedPer.ACTION: gettext_noop("for each action of each tenant"),
    CountedPer.TENANT: gettext_noop("for each tenant, all its actions together"),
    CountedPer.KEY: gettext_noop("for each API key"),
    CountedPer.CONNECTION: gettext_noop("for each connection, all its tenants together"),
}
_BRIEFLY_SHARED_BY = {
    CountedPer.ACTION: "",
    CountedPer.TENANT: gettext_noop("per tenant"),
    CountedPer.KEY: gettext_noop("per key"),
    CountedPer.CONNECTION: gettext_noop("per connection"),
}


def _percent(factor: float) -> str:
    return f"{languages.number(round(factor * 100, 2))} %"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def limit(line: QuotaLimit) -> str:
    """One limit as a sentence without its name: ``at most 100 units in any minute for each action of each tenant``."""
    shared_by = _(_SHARED_BY[CountedPer(line.counted_per)])
    if line.counted_by:
        shared_by += ", " + _("and for each value of {place}").format(place=line.counted_by)
    said = rules_of(line.algorithm).sentence(line, shared_by)
    return f"{said}; {_terms(line)}" if line.shared else said


def _terms(line: QuotaLimit) -> str:
    """What each tenant under the policy gets of a shared limit."""
    said = [
        _("shared fairly, each tenant with weight {weight}").format(weight=languages.number(line.share_weight or 0))
    ]
    if line.share_floor:
        said.append(_("a floor of {units}").format(units=languages.number(line.share_floor)))
    if line.share_ceiling:
        said.append(_("a ceiling of {units}").format(units=languages.number(line.share_ceiling)))
    if line.share_class != ServiceClass.NORMAL:
        said.append(_("class {name}").format(name=line.share_class))
    return ", ".join(said)


def compiled(line: Limit) -> str:
    """As :func:`limit`, for a limit that is in force."""
    return limit(
        QuotaLimit(
            algorithm=line.algorithm,
            quota=line.quota,
            window_seconds=line.window_us // MICROS or None,
            burst=line.burst or None,
            lease_seconds=line.lease_us // MICROS,
            counted_per=line.counted_per.value,
            counted_by=line.counted_by,
            shared=line.share is not None,
            **({} if line.share is None else _columns(line.share)),
        )
    )


def _columns(share: Share) -> dict[str, Any]:
    return {
        "share_weight": share.weight,
        "share_floor": share.floor,
        "share_ceiling": share.ceiling or None,
        "share_class": share.service_class.value,
    }


def brief(line: QuotaLimit) -> str:
    """One limit as a few words for lists: ``minute 100 per minute``, ``inflight 10 in flight per tenant``."""
    shared_by = _BRIEFLY_SHARED_BY[CountedPer(line.counted_per)]
    said = f"{line.name or MISSING} {rules_of(line.algorithm).brief(line)}"
    if shared_by:
        said = f"{said} {_(shared_by)}"
    if line.counted_by:
        said += " " + _("per value of {place}").format(place=line.counted_by)
    return said


def briefly(lines: Iterable[QuotaLimit]) -> str:
    """All limits of a policy on one line of a list."""
    return " · ".join(brief(line) for line in lines) or _("no limits")


def policy(row: QuotaPolicy, lines: Iterable[QuotaLimit]) -> list[str]:
    """A policy as sentences: one for each limit, then what happens to a call over them."""
    lines = list(lines)
    said = [_limit_of(row, line) for line in lines]
    if not lines:
        said.append(_("No limits: this policy by itself refuses nothing."))
    if row.mode == QuotaPolicy.Mode.SHADOW:
        said.append(_("Shadow: a call over a limit is recorded and let through."))
    elif lines:
        said.append(_("A call over any limit is refused and charged to none; its response contains the wait."))
        said += _waits(row, lines)
    if lines:
        said.append(_adaptive(row) if any(line.adaptive for line in lines) else _("No limit follows the latency."))
        said.append(_(MODES[row.store_failure].sentence))
        said.append(_alerts(row))
    return said


def _waits(row: QuotaPolicy, lines: list[QuotaLimit]) -> Iterator[str]:
    """What happens to calls over a limit instead, or later."""
    if row.wait_seconds:
        waits = _("It waits for its turn first, for up to {time}, unless it prefers another time.")
        yield waits.format(time=with_number(row.wait_seconds))
    if row.reserve_seconds:
        holds = _("The unit of a refused call is held for its client until {time} after its Retry-After.")
        yield holds.format(time=with_number(row.reserve_seconds))
        if names := [line.name or MISSING for line in lines if not rules_of(line.algorithm).reserves]:
            yield _("No slot of {names} is held: nobody knows when a running call ends.").format(names=", ".join(names))


def _limit_of(row: QuotaPolicy, line: QuotaLimit) -> str:
    said = f"{line.name or MISSING}: {limit(line)}."
    return _("{sentence} It never shrinks.").format(sentence=said) if row.adaptive and not line.adaptive else said


def _adaptive(row: QuotaPolicy) -> str:
    if not row.adaptive:
        return _("The limits do not follow the upstream's latency.")
    at_twice = min(max(row.max_multiplier - row.sensitivity, row.min_multiplier), row.max_multiplier)
    if row.adaptive_scope == QuotaPolicy.AdaptiveScope.TENANT:
        said = _(
            "While the p95 of the tenant's latest {samples} latencies is above {threshold} ms, the limits shrink: at"
            " {slow} ms to {at_twice}, never below {least}."
        )
    else:
        said = _(
            "While the p95 of the action's latest {samples} latencies is above {threshold} ms, the limits shrink: at"
            " {slow} ms to {at_twice}, never below {least}."
        )
    grown = _("Up to it they stand at {most}.").format(most=_percent(row.max_multiplier))
    sentence = said.format(
        samples=languages.number(row.sample_size),
        threshold=languages.number(row.latency_threshold_ms),
        slow=languages.number(2 * row.latency_threshold_ms),
        at_twice=_percent(at_twice),
        least=_percent(row.min_multiplier),
    )
    if row.cut_carrier == QuotaPolicy.CutCarrier.IN_FLIGHT:
        sentence += " " + _("In place of windows, the number of calls in flight shrinks.")
    return f"{sentence} {grown}" if row.max_multiplier != 1 else sentence


def _alerts(row: QuotaPolicy) -> str:
    if not row.alert_at:
        return _("Nobody is alerted.")
    *earlier, last = (f"{threshold} %" for threshold in row.alert_at)
    when = _("{earlier} and {last}").format(earlier=", ".join(earlier), last=last) if earlier else last
    return _("Alerts start when {when} of a limit in force is used.").format(when=when)


def assignment(row: Assignment) -> str:
    """The target of an assignment: ``everyone``, ``tenant acme``, ``action acme/lookupOrder``."""
    if row.action is not None:
        return _("action {action}").format(action=row.action)
    return _("tenant {tenant}").format(tenant=row.tenant) if row.tenant is not None else _("everyone")


def override(row: Override) -> str:
    """What an override does, for which tenant or action, and for how long."""
    target = str(row.action) if row.action is not None else _("{tenant}, all actions").format(tenant=row.tenant)
    which = _("limit {limit}").format(limit=row.limit_name) if row.limit_name else _("every limit")
    said = {
        Override.Effect.FACTOR: _("{target}: {which} multiplied by {factor}, from {since} to {until}"),
        Override.Effect.QUOTA: _("{target}: {which} set to {quota}, from {since} to {until}"),
        Override.Effect.SHADOW: _("{target}: {which} records and does not refuse, from {since} to {until}"),
    }[Override.Effect(row.effect)]
    return said.format(
        target=target,
        which=which,
        factor=languages.number(row.factor),
        quota=MISSING if row.quota is None else languages.number(row.quota),
        since=_moment(row.starts_at),
        until=_moment(row.ends_at),
    )
