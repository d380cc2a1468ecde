"""What random walks are drawn from: how many, how long, which limits; and how they call."""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from limiter.core.algorithms import RULES
from limiter.core.store import Store
from limiter.core.types import CountedPer, Decision, Limit
from limiter.core.window import Call, Stack
from tests.limiter.core.given import S

# The store is emptied for every example, so sharing the fixture between examples is sound.
assert settings.default is not None
walks = settings(
    max_examples=settings.default.max_examples // 2,  # each makes dozens of calls
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
WINDOWS = st.sampled_from([1 * S, 2 * S, 7 * S, 60 * S])
UNITS = st.integers(1, 8)
LIMITS = st.builds(
    Limit,
    name=st.sampled_from(["a", "b", "c", "d"]),
    algorithm=st.sampled_from(list(RULES)),
    quota=UNITS,
    window_us=WINDOWS,
    burst=UNITS,
    lease_us=WINDOWS,
    counted_per=st.sampled_from(CountedPer),
    shadow=st.integers(0, 3).map(lambda n: n == 3),
    adaptive=st.booleans(),
)
STACKS = st.lists(LIMITS, min_size=1, max_size=4, unique_by=lambda limit: limit.name)


STAY = "for _, key in ipairs(KEYS) do redis.call('PERSIST', key) end"


async def decided(store: Store, stack: Stack, call: Call) -> Decision:
    """Decide by the clock that the call hands in, and by no other.

    Keys end by the server's own clock, a second after their counts: on a slow machine a walk of microseconds takes
    longer than that. So they are made to stay, by a command that leaves together with the call.
    """
    counts = stack.keys[8:]
    stay = store.command("EVAL", STAY, len(counts), *counts, key=stack.keys[0])
    decision, _ = await asyncio.gather(store.decide(stack, call), stay)
    assert isinstance(decision, Decision)
    return decision
