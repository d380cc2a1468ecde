"""The gateway's own problems, with their wording in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from limiter.core import headers, sharing, values
from limiter.core.algorithms import rules_of
from limiter.core.decision_ids import binding
from limiter.core.in_flight import IN_FLIGHT
from limiter.core.sharing import Refused
from limiter.core.types import PPM, Decision, LimitState, ShareState
from limiter.upstream import errors
from quota_platform.base.lean.problem import Problem

QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"
_UPSTREAM_KIND = {
    errors.Unreachable: "upstream-unreachable",
    errors.OutcomeUnknown: "upstream-outcome-unknown",
    errors.Overloaded: "upstream-overloaded",
    errors.BreakerOpen: "upstream-breaker-open",
    errors.NotConfigured: "upstream-not-configured",
    errors.PayloadRefused: "payload-refused",
    errors.Disabled: "upstream-disabled",
}
REDUCED_CAPACITY = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"


class GatewayProblem(Problem):
    """``decision``: the decision before it went wrong, so that the response can carry the quota's headers."""

    titles = {
        **Problem.titles,
        "tenant-suspended": "Tenant suspended",
        "tenant-required": "Tenant required",
        "action-unknown": "Action not registered",
        "action-disabled": "Action switched off",
        "body-not-json": "Body is not JSON",
        "parameter-invalid": "Parameter invalid",
        "idempotency-key-invalid": "Idempotency-Key invalid",
        "idempotency-mismatch": "Idempotency-Key used for another call",
        "idempotency-pending": "The same call is in progress",
        "idempotency-too-long": "The response cannot be repeated",
        "payload-refused": "Payload does not fit the action",
        "too-many-failed-keys": "Too many invalid API keys",
        "wait-given-up": "Wait given up",
        "policy-unavailable": "Policy unavailable",
        "directory-unavailable": "Directory unavailable",
        "limiter-unavailable": "Limiter unavailable",
        "upstream-unreachable": "Upstream unreachable",
        "upstream-outcome-unknown": "Upstream outcome unknown",
        "upstream-overloaded": "Upstream overloaded",
        "upstream-breaker-open": "Upstream failing",
        "upstream-not-configured": "Upstream not configured",
        "upstream-disabled": "Upstream switched off",
    }

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        title: str = "",
        retry_after_us: int | None = None,
        extra: Mapping[str, Any] | None = None,
        fields: tuple[tuple[str, str], ...] = (),
        decision: Decision | None = None,
    ) -> None:
        if retry_after_us is not None:
            fields = (*fields, ("Retry-After", headers.retry_after(retry_after_us)))
        super().__init__(status, kind, detail, title=title, extra=extra, fields=fields)
        self.decision = decision


def unauthorized() -> GatewayProblem:
    """The same for a missing, malformed, unknown, expired and revoked key: a response tells nothing about a key."""
    return GatewayProblem(
        401,
        "unauthorized",
        "Send a valid API key as 'Authorization: Bearer <key>' or 'X-API-Key: <key>'.",
        fields=(("WWW-Authenticate", 'Bearer realm="quota-platform"'),),
    )


def too_many_failed_keys(wait_us: int) -> GatewayProblem:
    """In place of :func:`unauthorized`, for who has presented many keys that are none."""
    return GatewayProblem(
        429,
        "too-many-failed-keys",
        "Too many calls with invalid API keys came from this address; a valid key that is in use is not affected.",
        retry_after_us=wait_us,
    )


def reduced(decision: Decision, violated: Sequence[LimitState]) -> bool:
    """True when only the adaptive cut refuses: with the limits as they stand in the policies the call would pass."""
    by_share = any(each.refused in (Refused.CEILING, Refused.SHARE) for each in decision.shares)
    return (
        decision.multiplier_ppm < PPM
        and not by_share
        and all(state.used + decision.cost <= (state.limit.burst or state.limit.quota) for state in violated)
    )


def refusal(
    decision: Decision, *, decision_id: str, tenant_id: str, action_id: str, reduced_status: int
) -> GatewayProblem:
    """Why a call was refused, and from when on it would pass. ``decision_id``: the one that the record has."""
    if decision.paused_us:
        return _held_back(decision, decision_id=decision_id, tenant_id=tenant_id)
    violated = decision.violated
    state = binding(violated)
    cut = reduced(decision, violated)
    extra: dict[str, Any] = {
        "error": "Rate limit exceeded",
        "tenant_id": tenant_id,
        "action_id": action_id,
        "violated-policies": [refusing.limit.name for refusing in violated],
        "limit": state.limit.burst or state.limit.quota,
        "used": state.used,
        "effective_limit": state.effective,
        "multiplier": decision.multiplier,
        "decision_id": decision_id,
    }
    if state.limit.counted_by:
        extra |= {"counted_by": state.limit.counted_by, "value": state.limit.value[: values.SHOWN]}
    if decision.shares:
        extra["shares"] = [_share(each) for each in decision.shares]
    if decision.retry_after_us is not None:
        extra["retry_after_ms"] = decision.retry_after_us / 1000
    return GatewayProblem(
        reduced_status if cut else 429,
        REDUCED_CAPACITY if cut else QUOTA_EXCEEDED,
        _explain(state, violated, decision, cut=cut),
        title="Temporary reduced capacity" if cut else "Quota exceeded",
        retry_after_us=decision.retry_after_us,
        decision=decision,
        extra=extra,
    )


_REFUSED_BY = {Refused.NOTHING: None, Refused.CEILING: "ceiling", Refused.SHARE: "share", Refused.FULL: "limit"}


def _share(state: ShareState) -> dict[str, Any]:
    """One shared limit as plain data."""
    return {
        "limit": state.limit.name,
        "refused_by": _REFUSED_BY[Refused(state.refused)],
        "share": state.share,
        "used": state.used,
        "kept_for_others": state.owed,
        "borrowed": state.borrowed,
        "lent": _lent(state),
    }


def _held_back(decision: Decision, *, decision_id: str, tenant_id: str) -> GatewayProblem:
    """Not made, because the upstream would turn it away, as it did another call of the connection."""
    wait = headers.in_prose(decision.paused_us)
    if decision.above_pace:
        why = f"{_above_pace(decision)}; its turn is in {wait}. It"
    else:
        why = f"The upstream takes no calls for another {wait}, by its response to another call. This one"
    return GatewayProblem(
        429,
        "upstream-overloaded",
        f"{why} was not sent and is charged to no limit; this is not your quota.",
        retry_after_us=decision.paused_us,
        decision=decision,
        extra={
            "tenant_id": tenant_id,
            "decision_id": decision_id,
            "retry_after_ms": decision.paused_us / 1000,
        }
        | ({"shares": [_share(each) for each in decision.shares]} if decision.shares else {}),
    )


_ABOVE_PACE = {
    Refused.CEILING: ", and at your ceiling of {share} calls a minute",
    Refused.SHARE: ", and before its turn in your share, {share} calls a minute, of which you made {used} in the last",
    Refused.FULL: ", of which your share is {share} calls a minute: calls that were due before it are served first",
}


def _above_pace(decision: Decision) -> str:
    """Which part of the pace refused, where tenants share it."""
    said = "This call is above the pace that the upstream takes"
    for each in decision.shares:
        said += _ABOVE_PACE[Refused(each.refused)].format(share=each.share, used=each.used)
    return said


def _explain(state: LimitState, violated: Sequence[LimitState], decision: Decision, *, cut: bool) -> str:
    limit = state.limit
    counts = f"Limit '{limit.name}' has {state.used} of {state.effective} in use"
    if decision.shares:
        counts += _of_share(state, decision)
    if limit.counted_by:
        counts += _OF_VALUES.get(limit.value, " for this value of {place}").format(place=limit.counted_by)
    if cut:
        counts += f" (cut from {rules_of(limit.algorithm).capacity(limit)} while the upstream is slow)"
    if limit.name == IN_FLIGHT:
        counts += ": the upstream gets at most so many calls of all tenants at once, as learned from its latency"
    if decision.retry_after_us is None:
        return f"{counts}; a call of cost {decision.cost} is above it and cannot pass, however long it waits."
    return f"{counts}; {_when(state, violated, decision.cost, headers.in_prose(decision.retry_after_us))}"


_OF_VALUES = {
    "": "",
    values.MISSING: " by calls without a value of {place}",
    values.OTHERS: " by calls with new values of {place}, of which there are too many at once",
}


def _of_share(state: LimitState, decision: Decision) -> str:
    """Which share of the limit refused, where it did."""
    found = next((each for each in decision.shares if each.limit == state.limit), None)
    if found is None or found.refused == Refused.NOTHING:
        return ""
    if found.refused == Refused.CEILING:
        return f", {found.used} by you, and your ceiling is {found.share}"
    said = f", {found.used} by you, and your share is {found.share}"
    if found.refused == Refused.SHARE:
        said += f"; {_are(found.owed)} kept for others"
    if found.borrowed:
        return f"{said}; of yours {_are(found.borrowed)} borrowed"
    return f"{said}; of your part {_are(_lent(found))} lent to others" if _lent(found) else said


def _are(number: int) -> str:
    return f"{number} is" if number == 1 else f"{number} are"


def _lent(state: ShareState) -> int:
    return sharing.lent(state.refused, even=state.even, share=state.share, used=state.used)


def _when(state: LimitState, violated: Sequence[LimitState], cost: int, wait: str) -> str:
    """The exact wait, or, where a slot is missing, the reason: nobody knows when a running call ends."""
    call = f"a call of cost {cost} passes"
    if rules_of(state.limit.algorithm).holds_slots:
        return f"{call} as soon as a running one ends. When is not known; to try again in {wait} is a hint."
    others = violated if len(violated) > 1 else ()
    full = [each.limit.name for each in others if rules_of(each.limit.algorithm).holds_slots]
    if full:
        return f"{call} in {wait} if a running one that holds a slot of '{full[0]}' has ended by then."
    return f"{call} in {wait}."


def of_upstream(error: errors.UpstreamError, decision: Decision) -> GatewayProblem:
    """A call that was admitted, and could not be made or has no whole response."""
    kind = _UPSTREAM_KIND.get(type(error), "upstream-unreachable")
    return GatewayProblem(error.status, kind, error.detail, retry_after_us=error.retry_after_us, decision=decision)
