"""The RateLimit fields of a response, written in one place.

Source: draft-ietf-httpapi-ratelimit-headers-11 (RateLimit-Policy, RateLimit; RFC 9651 structured fields) and RFC 9110
section 10.2.3 (Retry-After in whole seconds). A limit's name is a structured-field String: of ``a-z0-9_-`` where
a policy gives it, else in parentheses, such as ``(in flight)``. None has a quote or a backslash to escape.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

from limiter.core import values
from limiter.core.algorithms import rules_of
from limiter.core.types import MICROS, PPM, Decision, Limit, LimitState


def seconds(us: int) -> int:
    """Microseconds as whole seconds, rounded up: never earlier than the instant it names."""
    return -(-us // MICROS)


def policy(limits: Iterable[Limit]) -> str:
    """``RateLimit-Policy``: what every limit that is enforced allocates to the caller while nothing is cut.

    A token bucket is shown as its burst over the time that refills it, so that ``q / w`` is its rate and no response
    says ``r`` above ``q``.
    """
    return ", ".join(
        _policy_item(limit, rules_of(limit.algorithm).capacity(limit), limit.quota)
        for limit in limits
        if not limit.shadow
    )


def policy_in_force(decision: Decision) -> str:
    """The same as it was decided by: an adaptive limit as the multiplier has cut it, its bucket's refill too."""
    return ", ".join(
        _policy_item(state.limit, state.effective, _refill(state.limit, decision.multiplier_ppm))
        for state in decision.states
        if not state.limit.shadow
    )


def _refill(limit: Limit, multiplier_ppm: int) -> int:
    return max(1, limit.quota * multiplier_ppm // PPM) if limit.adaptive else limit.quota


def _policy_item(limit: Limit, quota: int, refill: int) -> str:
    """``refill``: the units that a token bucket gets back per window."""
    parameters = rules_of(limit.algorithm).header_parameters(limit, refill, quota)
    return f'"{limit.name}";q={quota};{parameters}{_partition(limit)}'


def _partition(limit: Limit) -> str:
    """``pk``: the partition of a limit that counts by a value of the call, a Byte Sequence."""
    if not limit.counted_by:
        return ""
    return f";pk=:{base64.b64encode(limit.value[: values.SHOWN].encode()).decode()}:"


def tightest(states: Iterable[LimitState]) -> LimitState | None:
    """The enforced limit a caller meets first: one that refuses, the longest wait first; else the least share left."""
    found, rank = None, (3.0, 0.0)
    for state in states:
        if state.limit.shadow:
            continue
        if state.wait_us != 0:
            new = (0.0, 0.0) if state.wait_us < 0 else (1.0, -float(state.wait_us))
        else:
            left = state.effective - state.used
            new = (2.0, left / state.effective if left > 0 else 0.0)
        if found is None or new < rank:
            found, rank = state, new
    return found


def rate_limit(decision: Decision) -> str:
    """``RateLimit``: what the tightest limit has left, and when its next unit becomes free (the draft's ``t``).

    "" when nothing is enforced. A refusal leaves nothing for a call of this cost, so a window that has room for a
    cheaper call still says how much.
    """
    state = tightest(decision.states)
    if state is None:
        return ""
    if state.reset_us > 0:
        item = f'"{state.limit.name}";r={state.remaining};t={max(1, seconds(state.reset_us))}'
    else:
        item = f'"{state.limit.name}";r={state.remaining}'
    return item + _partition(state.limit) if state.limit.counted_by else item


def retry_after(us: int) -> str:
    """``Retry-After``: whole seconds, rounded up, at least 1."""
    return str(max(1, seconds(us)))


def in_prose(us: int) -> str:
    """A wait as a sentence has it, rounded up: ``25 ms``, ``6.4 s``, ``3,600 s``. Headers and bodies are more exact."""
    if us < MICROS:
        return f"{-(-us // 1_000)} ms"
    step = MICROS // 10 if us < 100 * MICROS else MICROS
    return f"{-(-us // step) * step / MICROS:,.1f}".removesuffix(".0") + " s"


def legacy(decision: Decision) -> list[tuple[str, str]]:
    """The old ``X-RateLimit-*`` triple of the tightest limit, for clients that know nothing else."""
    state = tightest(decision.states)
    if state is None:
        return []
    return [
        ("X-RateLimit-Limit", str(state.effective)),
        ("X-RateLimit-Remaining", str(state.remaining)),
        ("X-RateLimit-Reset", str(seconds(max(0, state.reset_us)))),
    ]
