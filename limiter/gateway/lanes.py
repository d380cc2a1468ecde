"""Where a call waits in a line, and for how long nothing passes there after a decision.

At a shared limit the deciding script serves each account its share, so calls of one account do not wait behind those of
another: each account has a lane, and lanes of a higher class go first. While the upstream takes no calls, they wait for
the end of that in lanes too, of tenants and classes: the upstream is shared, whatever limits there are.
"""

from __future__ import annotations

from limiter.core import keys, sharing
from limiter.core.algorithms import rules_of
from limiter.core.types import CONCURRENCY_HINT_US, Decision
from limiter.core.window import Stack
from limiter.gateway.line import EVERYONE, LaneName, Rest


def lane_of(stack: Stack, name: str) -> LaneName:
    """The lane of a stack's calls in the line of one of its counts, or of a pause of the upstream."""
    if name == keys.pause(stack.subject.connection):
        share = stack.paced or next((limit.share for limit in stack.limits if limit.share), None)
        return LaneName(sharing.rank(share, stack.subject), stack.subject.tenant)
    if name not in stack.windows:
        return EVERYONE
    limit = stack.limits[stack.windows.index(name)]
    if limit.share is None:
        return EVERYONE
    rank, account = sharing.account(limit.share, stack.subject)
    return LaneName(rank, account)


def rest_of(stack: Stack, decision: Decision, name: str) -> Rest:
    """How long it takes, after this decision, until the limit of a line has room again for the next call.

    A share grows while others leave their units: an account above its share looks again in the next slice.
    """
    if decision.degraded or name not in stack.windows:
        if stack.paced and decision.paused_us:  # the next lane may be within its share
            return Rest(0, decision.paused_us)
        return Rest(decision.paused_us)
    state = decision.states[stack.windows.index(name)]
    limit, wait_us = state.limit, max(0, state.wait_us)
    if limit.share is not None:
        length, _ = sharing.slices(limit, limit.share)
        needed = decision.cost if state.wait_us and not rules_of(limit.algorithm).holds_slots else 1
        has_room = state.used + needed <= state.effective
        return Rest(0 if has_room else max(0, state.reset_us), min(wait_us, length))
    if state.wait_us or state.remaining:
        return Rest(wait_us)
    return Rest(CONCURRENCY_HINT_US if rules_of(limit.algorithm).holds_slots else max(0, state.reset_us))
