"""Who is compared, by name, and what each was tuned over: the same number of values for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from limiter.core.store import Store
from limiter.core.types import Limit
from tests.bench.control import seed
from tests.bench.control.controllers import SETTINGS, Gradient, InFlight, Learned, Probing, Trial
from tests.bench.control.run import Controller
from tests.bench.control.seed import Bucket, Seed, Slots, Window
from tests.bench.control.stored import LEASE_US, StoredLearned, StoredSeed
from tests.bench.control.unit import S

Parameters = Mapping[str, float]


def _seed_limit(algorithm: str) -> Limit:
    window_s = seed.WINDOW_S if algorithm == "sliding_log" else 1
    if algorithm == "concurrency":
        return Limit("l", algorithm, seed.IN_FLIGHT, lease_us=LEASE_US)
    burst = seed.BURST if algorithm == "token_bucket" else 0
    return Limit("l", algorithm, seed.PER_S * window_s, window_s * S, burst=burst)


@dataclass(frozen=True, slots=True)
class Contender:
    """``make``: in pure Python. ``stored``: by the product's scripts, where it is the product's.

    ``tuned``: the best of ``tried``, found with ``--tune`` on the seeds 1 to 3.
    """

    what: str
    make: Callable[..., Controller]
    stored: Callable[[Store], Controller] | None = None
    tuned: Parameters = field(default_factory=dict)
    tried: Sequence[Parameters] = ()


CONTENDERS = {
    "none": Contender("no control", InFlight),
    "seed-window": Contender(
        "seed's rule, 60 s window",
        lambda: Seed(Window()),
        lambda store: StoredSeed(store, _seed_limit("sliding_log")),
    ),
    "seed-bucket": Contender(
        "seed's rule, token bucket",
        lambda: Seed(Bucket()),
        lambda store: StoredSeed(store, _seed_limit("token_bucket")),
    ),
    "seed-in-flight": Contender(
        "seed's rule, carried in flight",
        lambda: Seed(Slots()),
        lambda store: StoredSeed(store, _seed_limit("concurrency")),
    ),
    "gradient": Contender(
        "gradient of latency (Gradient2)",
        Gradient,
        tuned={"queue": 2, "tolerance": 1.0, "least": 2},
        tried=[{"queue": q, "tolerance": t, "least": n} for q in (1, 2, 4) for t in (1.0, 1.5, 2.0) for n in (2, 4)],
    ),
    "probing": Contender(
        "gradient over a probed minimum (Envoy)",
        Probing,
        tuned={"every_s": 120, "few": 2, "buffer": 0.25},
        tried=[{"every_s": e, "few": n, "buffer": b} for e in (60, 120, 240) for n in (2, 3) for b in (0.25, 0.5, 1.0)],
    ),
    "trial": Contender(
        "did cutting help?, fixed steps",
        Trial,
        tuned={"first": 0.8, "up": 1.08, "down": 0.9},
        tried=[
            {"first": f, "up": u, "down": d} for f in (0.5, 0.8) for u in (1.02, 1.04, 1.08) for d in (0.7, 0.8, 0.9)
        ],
    ),
    "learned": Contender(
        "did cutting help?, led by p95 (ours)",
        Learned,
        lambda store: StoredLearned(store, SETTINGS),
    ),
}
