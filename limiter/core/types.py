"""The values a decision is made from and the one value it is answered with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, NamedTuple

MICROS = 1_000_000
PPM = 1_000_000
"""Multipliers travel as whole millionths, so that Lua and Python agree on every effective limit."""

MAX_QUOTA = 10**9
"""Units per window at most: ``quota x PPM`` has to stay exact in Lua's 53-bit numbers."""
MAX_LOG_QUOTA = 1_000_000
MAX_WINDOW_SECONDS = 31 * 86_400
MAX_BURST_SECONDS = 9 * 10**9
"""Token bucket: ``burst x window`` in unit-seconds at most, so that unit-microseconds fit 53 bits."""
MAX_LEASE_SECONDS = 3600
MAX_COST = 1_000
MAX_WEIGHT = 10_000
"""Of a share of a limit."""
PARTS = 10_000
"""Of a limit that moves: its floors and ceilings are so many of these."""
CONCURRENCY_HINT_US = 1_000_000
"""The wait of a refusal for want of a slot: nobody knows when one comes free."""
COUNTER_SLICES = 60
"""A sliding counter's window is cut into this many sub-windows."""


class CountedPer(StrEnum):
    """Whose calls share one count."""

    ACTION = "action"
    TENANT = "tenant"
    KEY = "key"
    CONNECTION = "connection"

    @property
    def label(self) -> str:
        return {
            "action": "tenant and action",
            "tenant": "tenant, all actions together",
            "key": "API key",
            "connection": "connection, all its tenants together",
        }[self.value]


class ServiceClass(StrEnum):
    """Which calls come first: the demand of one is served before the next gets more than its floors."""

    CRITICAL = "critical"
    NORMAL = "normal"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Share:
    """A tenant's terms in a shared limit.

    ``weight``: how contended units are divided. ``floor``: units of its own, however much the others ask for.
    ``ceiling``: units that it never passes; 0: none. ``over_us``: for how long a unit counts as the tenant's.
    """

    weight: int = 1
    floor: int = 0
    ceiling: int = 0
    service_class: ServiceClass = ServiceClass.NORMAL
    over_us: int = 0

    in_parts: ClassVar[bool] = False

    def floor_in(self, effective: int) -> int:
        """Its floor in units, of a limit of so many."""
        return self.floor * effective // PARTS if self.in_parts else self.floor

    def ceiling_in(self, effective: int) -> int:
        """Its ceiling in units; 0: none."""
        return max(1, self.ceiling * effective // PARTS) if self.in_parts and self.ceiling else self.ceiling


@dataclass(frozen=True, slots=True)
class Portion(Share):
    """Terms in a limit that moves: floor and ceiling are in :data:`PARTS` of it, as it is in force."""

    in_parts: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Limit:
    """One compiled limit, ready to be decided.

    ``algorithm``: the name of a module of :mod:`limiter.core.algorithms`. ``quota``: units per ``window_us``
    microseconds (in flight, for concurrency). ``burst``: units at once, token bucket only. ``lease_us``: how long a
    concurrency slot lives unless released. ``shadow``: record, never refuse.
    ``adaptive``: shrinks with the multiplier: effective limit = max(1, floor(quota x multiplier)). ``alert_at``:
    percent of the effective limit at which people get an alert, ascending. ``reserve_us``: how long after its time
    the unit of a refused call is held, not for concurrency; 0: none is. ``share``: the caller's terms where tenants
    share the limit; None: first come, first served. ``counted_by``: the header, or the JSON Pointer into the payload,
    by whose values it counts; "": by none. ``max_values``: of one tenant at once. ``value``: of a bound limit, the
    digest of the call's own (:mod:`limiter.core.values`).
    """

    name: str
    algorithm: str
    quota: int
    window_us: int = 0
    burst: int = 0
    lease_us: int = 0
    counted_per: CountedPer = CountedPer.ACTION
    shadow: bool = False
    adaptive: bool = True
    policy_name: str = ""
    policy_version: int = 0
    alert_at: tuple[int, ...] = ()
    reserve_us: int = 0
    share: Share | None = None
    counted_by: str = ""
    max_values: int = 0
    value: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is calling what: the names that a limit's count is kept under.

    ``connection`` is the row id whose ``{c<id>}`` is the hash tag of every key. ``max_class``: of its calls in shared
    limits.
    """

    connection: int
    tenant: str
    action: str
    key: str
    max_class: ServiceClass = ServiceClass.CRITICAL


class LimitState(NamedTuple):
    """What one limit looks like after a decision.

    ``used``: units counted in the window (after the call, if it was admitted). ``effective``: the limit in force after
    the multiplier. ``wait_us``: 0 if the limit lets this call pass; the exact wait in microseconds if not; -1 if it
    never can (cost above the effective limit). ``reset_us``: until the next unit becomes free: no more than
    ``remaining`` is to be had before. While nothing is used, as long as a unit taken now would be used.
    """

    limit: Limit
    used: int
    effective: int
    wait_us: int
    reset_us: int

    @property
    def remaining(self) -> int:
        """Nothing of a shared limit that refused: the free units are kept for others."""
        if self.wait_us and self.limit.share:
            return 0
        left = self.effective - self.used
        return left if left > 0 else 0


class ShareState(NamedTuple):
    """A shared limit as a refused call or a look found it, in units.

    ``refused``: why, a :class:`~limiter.core.sharing.Refused`. ``share``: units of its own, whatever the others do;
    ``used``: of it. ``owed``: kept for others, who asked lately and have not had their share. ``even``: what its weight
    brings it when all want more than they get.
    """

    limit: Limit
    refused: int
    share: int
    used: int
    owed: int
    even: int = 0

    @property
    def borrowed(self) -> int:
        """Units above its even part, which others leave."""
        return max(0, self.used - self.even)

    @property
    def kept(self) -> int:
        """Units of its share that it has not used, and nobody else gets."""
        return max(0, self.share - self.used)

    @property
    def lent(self) -> int:
        """Units of its even part that it does not ask for, and others may use."""
        return max(0, self.even - max(self.share, self.used))


class Decision(NamedTuple):
    """The one value that answers a call; headers, event, metrics and dashboard all read it.

    ``at_us``: the store's clock, microseconds since the epoch. ``retry_after_us``: the latest of the waits of the
    limits that refused; 0 when allowed; None when no wait can help. ``degraded``: decided without the store.
    ``paused_us``: how long the upstream takes no calls, when the limits admit this one and that is why it is not made;
    ``above_pace``: because it is above the upstream's pace.
    ``waits``: refused for now and recorded nowhere, since the call waits for ``retry_after_us`` and is decided again;
    ``held``: its unit is held for it meanwhile.
    ``shares``: of a refused call and of a look, for each of its shared limits.
    ``overflowed``: a value of the call was above a bound, so that its states are those of all such values together.
    """

    allowed: bool
    decision_id: str
    at_us: int
    cost: int
    multiplier_ppm: int
    states: tuple[LimitState, ...]
    retry_after_us: int | None = 0
    degraded: bool = False
    leases: tuple[str, ...] = ()
    paused_us: int = 0
    waits: bool = False
    held: bool = False
    above_pace: bool = False
    shares: tuple[ShareState, ...] = ()
    overflowed: bool = False

    @property
    def multiplier(self) -> float:
        return self.multiplier_ppm / PPM

    @property
    def violated(self) -> tuple[LimitState, ...]:
        """The enforced limits that refused the call."""
        return tuple([s for s in self.states if s.wait_us and not s.limit.shadow])

    @property
    def shadow_violated(self) -> tuple[LimitState, ...]:
        """The shadow limits that would have refused it."""
        return tuple([s for s in self.states if s.wait_us and s.limit.shadow])
