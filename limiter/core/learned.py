"""The memory of a learned limit between two steps of its rule (:mod:`limiter.core.learning`). All pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from limiter.core.ends import LearningSettings, S

STEP_US = S // 2
"""Between two steps of the rule."""
HOLD_US = 30 * S
"""How long, at first, a limit is held whose cut only lost throughput."""


class Mode(StrEnum):
    """What the limit is doing."""

    WHOLE = "whole"
    TRIAL = "trial"
    FOLLOWING = "following"
    RAISING = "raising"
    NOT_OURS = "not_ours"


@dataclass(frozen=True, slots=True)
class State:
    """The memory of the rule from step to step.

    ``steps`` numbers it. ``limit`` counts in TRIAL, FOLLOWING and RAISING. ``set_us``: when the limit was last changed,
    or in NOT_OURS when it was last slow; while more calls than that drain, it is now. ``began_us``: when the trial was
    begun, or made deeper. ``before_us``, ``after_us``: the medians of the last trial. ``reference``: an
    earlier limit and the median latency under it, which a change is compared with. ``bound_rate``: calls a second while
    the limit binds.
    """

    steps: int = 0
    at_us: int = 0
    mode: Mode = Mode.WHOLE
    limit: float = 0.0
    set_us: int = 0
    slow_since_us: int = 0
    bound_us: int = 0
    normal_us: float = 0.0
    before_us: float = 0.0
    after_us: float = 0.0
    reference: float = 0.0
    reference_us: float = 0.0
    began_us: int = 0
    held_until_us: int = 0
    held_us: float = 0.0
    hold_for_us: int = HOLD_US
    next_trial_us: int = 0
    trial_every_us: int = 0
    peak: float = 0.0
    bound_rate: float = 0.0
    rate: float = 0.0
    p95_us: float = 0.0
    in_flight: int = 0

    def allowed(self, settings: LearningSettings) -> int:
        """Calls in flight at most."""
        if self.mode in (Mode.WHOLE, Mode.NOT_OURS):
            return settings.max_in_flight
        return int(min(settings.max_in_flight, max(settings.min_in_flight, self.limit, self._replaced())))

    def drains(self, settings: LearningSettings) -> bool:
        """Whether many more calls are in flight than the limit."""
        return self._replaced() > max(settings.min_in_flight, self.limit)

    def _replaced(self) -> int:
        """Calls in flight that the next step should find, so that about half of those that end until then are replaced.

        A limit that fell far would otherwise refuse everybody until the calls beyond it have ended.
        """
        return self.in_flight - max(1, round(self.rate * STEP_US / S / 2))
