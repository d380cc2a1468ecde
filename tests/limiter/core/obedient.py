"""Clients that call at once and come back when a header in whole seconds lets them, by a clock of their own."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from limiter.core.store import Store
from limiter.core.types import MICROS
from limiter.core.window import Call, Stack

JITTER_US = 9_000
"""How much later than asked a client comes, at most."""
_KEY = "aaaaaaaa"


@dataclass
class Served:
    """``at``: when each client passed (us). ``requests``: of all of them; ``late``: clients refused more than once."""

    at: list[int] = field(default_factory=list)
    requests: int = 0
    late: int = 0


async def herd(store: Store, stack: Stack, *, clients: int, since_us: int, dice: random.Random) -> Served:
    """Let all clients of one key call until they pass. Those that are let wait are decided again by themselves."""
    served, refused = Served(), dict.fromkeys(range(clients), 0)
    coming = [(dice.randint(0, JITTER_US), client, "") for client in range(clients)]
    while coming:
        at, client, itself = min(coming)
        coming.remove((at, client, itself))
        served.requests += not itself
        waits = itself or f"{_KEY}{served.requests:012x}"
        call = Call(
            f"{at}-{served.requests}",
            now_us=since_us + at,
            patience_us=0,
            waited=bool(itself),
            client=f"{_KEY}{0:012x}",
            itself=waits,
        )
        decision = await store.decide(stack, call)
        wait = decision.retry_after_us or 0
        if decision.allowed:
            served.at.append(at)
        elif decision.held:
            coming.append((at + wait, client, waits))
        else:
            refused[client] += 1
            later = -(-wait // MICROS) * MICROS + dice.randint(0, JITTER_US)
            coming.append((at + later, client, ""))
    served.late = sum(times > 1 for times in refused.values())
    return served
