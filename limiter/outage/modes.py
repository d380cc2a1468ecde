"""What happens to a call while the store is unavailable: one object per failure mode, and every place reads these.

The model takes its choices from here, previews take the sentence, and the worker takes the decision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from limiter.core.amounts import gettext_noop
from limiter.core.types import PPM, Decision
from limiter.core.window import Call, Stack
from limiter.outage.local import LocalShare

Decide = Callable[[LocalShare, Stack, Call, int], Decision | None]
"""A worker's share, the call's limits, the call and the time (us); None refuses the call without counting it."""


@dataclass(frozen=True, slots=True)
class FailureMode:
    """``name`` is stored, ``label`` is what a form offers, ``sentence`` is what a preview of the policy says."""

    name: str
    label: str
    sentence: str
    decide: Decide


def _spend_share(local: LocalShare, stack: Stack, call: Call, at_us: int) -> Decision | None:
    return local.decide(stack, call)


def _admit(local: LocalShare, stack: Stack, call: Call, at_us: int) -> Decision | None:
    return Decision(
        allowed=True,
        decision_id=call.decision_id,
        at_us=at_us,
        cost=call.cost,
        multiplier_ppm=PPM,
        states=(),
        degraded=True,
    )


def _refuse(local: LocalShare, stack: Stack, call: Call, at_us: int) -> Decision | None:
    return None


LOCAL = FailureMode(
    "local",
    "local: each worker spends its own share",
    gettext_noop("While the store is unavailable, each worker spends its own share of the limits."),
    _spend_share,
)
OPEN = FailureMode(
    "open", "open: let every call pass", gettext_noop("While the store is unavailable, every call passes."), _admit
)
CLOSED = FailureMode(
    "closed", "closed: refuse with 503", gettext_noop("While the store is unavailable, every call gets a 503."), _refuse
)

MODES = {mode.name: mode for mode in (LOCAL, OPEN, CLOSED)}
