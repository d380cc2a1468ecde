"""An upstream that takes so many calls at once, which last more or less long."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from tests.limiter.core.hidden_unit import InFlight


@dataclass
class Unequal(InFlight):
    """``lasts_s``: of the call that it took last. ``varies``: how far from a second, alike likely."""

    varies: float = 0.8
    rng: random.Random = field(default_factory=lambda: random.Random(11))

    def wait_s(self, at: float) -> float:
        self.ends = [end for end in self.ends if end > at]
        if len(self.ends) >= max(1, round(self.per_minute / 60)):
            return 1
        self.lasts_s = 1 + self.rng.uniform(-self.varies, self.varies)
        self.ends.append(at + self.lasts_s)
        return 0
