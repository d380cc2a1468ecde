"""What a worker prepares once per connection and action, so that a call only has to be filled in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from yarl import URL

from limiter.upstream.breaker import Breaker
from limiter.upstream.conduct import Origin, origin_of
from limiter.upstream.errors import NotConfigured
from limiter.upstream.exchange import Patience
from limiter.upstream.outbound import RequestTemplate, compile_plan
from limiter.upstream.retry import Budget
from limiter.upstream.vault import fingerprint
from quota_platform.base import hosts
from tenants import presets
from tenants.directory import ActionSpec, ConnectionSpec

MAX_LANES = 4096
MAX_PER_LANE = 16_384


@dataclass(slots=True)
class UnitState:
    """What one connection has been through in this worker, whatever edits were made to it meanwhile."""

    name: str
    breaker: Breaker
    calls: int = 0
    failures: int = 0
    repeats: int = 0
    pushbacks: int = 0
    budget: Budget = field(default_factory=Budget)
    id: int = 0
    """The connection's row."""
    origin: Origin | None = None
    """Where its calls went last."""
    sour_until: float = 0.0
    """Until then a 401 is not met with another new token: the last new one was refused as well."""


@dataclass(slots=True, eq=False)
class Prepared:
    """One action of one connection. ``url`` is its whole URL when no value of a call goes into it."""

    plan: RequestTemplate
    spec: ActionSpec
    budget_s: float
    patience: Patience
    url: URL | None = None


@dataclass(slots=True, eq=False)
class Lane:
    """One connection as a worker uses it; an edit of the connection makes another lane over the same unit."""

    connection: ConnectionSpec
    unit: UnitState
    preset: presets.Preset
    mark: str
    sandbox_hosts: frozenset[str]
    base: str = ""
    origin: Origin | None = None
    actions: dict[ActionSpec, Prepared] = field(default_factory=dict)

    def prepare(self, action: ActionSpec) -> Prepared:
        """Compile an action the first time it is called; raises NotConfigured."""
        if len(self.actions) >= MAX_PER_LANE:
            self.actions.clear()
        budget_s = min(action.timeout_ms / 1000, self.connection.total_deadline_s)
        prepared = Prepared(
            plan=compile_plan(self.connection, action),
            spec=action,
            budget_s=budget_s,
            patience=self.patience(budget_s),
        )
        self.actions[action] = prepared
        return prepared

    def patience(self, seconds: float) -> Patience:
        """The connect timeout covers waiting for a free connection too: a full pool is "not sent", not "unknown"."""
        return Patience(total=seconds, connect=self.connection.connect_timeout_s)

    def use_base(self, base: str) -> None:
        """Invoke under ``base`` from now on; raises NotConfigured when the connection may not reach it."""
        try:
            hosts.check_url(
                base,
                suffixes=self.connection.allowed_host_suffixes,
                sandbox_hosts=(self.sandbox_hosts or {"(none)"}) if self.connection.is_sandbox else (),
            )
        except hosts.HostRefused:
            raise NotConfigured("The upstream's address may not be used; an administrator has to look at it.") from None
        self.base = base
        self.origin = self.unit.origin = origin_of(URL(base))
        for prepared in self.actions.values():
            prepared.url = None


class Lanes:
    """All lanes of a worker, and the units that outlive them. Bounded: a dropped one is made again when used."""

    def __init__(self, *, sandbox_hosts: frozenset[str], monotonic: Callable[[], float]) -> None:
        self._sandbox_hosts = sandbox_hosts
        self._monotonic = monotonic
        self._lanes: dict[ConnectionSpec, Lane] = {}
        self.units: dict[str, UnitState] = {}

    def get(self, connection: ConnectionSpec) -> Lane:
        lane = self._lanes.get(connection)
        return lane if lane is not None else self._add(connection)

    def _add(self, connection: ConnectionSpec) -> Lane:
        if len(self._lanes) >= MAX_LANES:
            self._lanes.clear()
        unit = self.units.get(connection.uid)
        if unit is None:
            unit = self.units[connection.uid] = UnitState(
                connection.name, Breaker(monotonic=self._monotonic), id=connection.id
            )
        unit.name = connection.name
        unit.breaker.configure(connection)
        lane = Lane(
            connection=connection,
            unit=unit,
            preset=presets.PRESETS[connection.preset],
            mark=fingerprint(connection),
            sandbox_hosts=self._sandbox_hosts,
        )
        self._lanes[connection] = lane
        return lane
