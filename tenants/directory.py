"""Tenants, actions, connections and keys as frozen values: what a worker holds in memory and decides from.

Rows become specs once, off the hot path (``spec_rows.py``); a spec never touches the database again.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from quota_platform.base import secrets
from tenants import presets
from tenants.cost import MAX_COST
from tenants.failure import CountsAs, When
from tenants.models import ApiKey


@dataclass(frozen=True, slots=True)
class ConnectionSpec:
    """One upstream account, with what its preset fills in. Secrets stay sealed until a token is needed.

    Values are compared whole but hashed by ``id`` alone, so that a spec is a cheap key of a dict. ``base_url``,
    ``token_url`` are blank when they have to be discovered (``discovers``).
    """

    id: int
    uid: str
    name: str
    preset: str
    enabled: bool
    is_sandbox: bool
    base_url: str
    token_url: str
    client_auth: str
    client_id: str
    client_secret_sealed: str = dataclasses.field(repr=False)
    scope: str
    token_refresh_skew_s: int
    connect_timeout_s: float
    total_deadline_s: float
    max_response_bytes: int
    allowed_host_suffixes: tuple[str, ...]
    grant_type: str = "client_credentials"
    basic_urlencode: bool = False
    token_body: str = "form"
    token_extra_params: tuple[tuple[str, str], ...] = ()
    access_key_id: str = ""
    access_key_secret_sealed: str = dataclasses.field(default="", repr=False)
    issuer_url: str = ""
    area: str = ""
    cxone_tenant_id: str = ""
    api_version: str = presets.DEFAULT_API_VERSION
    max_retries: int = 3
    breaker_failure_percent: int = 20
    breaker_min_calls: int = 20
    breaker_window_s: float = 10.0
    breaker_cooldown_s: float = 10.0
    pause_on_pushback: bool = True
    max_pause_s: int = 900
    learns_in_flight: bool = False
    slow_above_ms: int = 800
    min_in_flight: int = 1
    max_in_flight: int = 100
    pace: str = ""
    """``learn``; the calls a minute that a person has set; blank for no pace."""
    shared: bool = False
    shared_like: str = ""
    """The limit whose terms count in the shares of this connection; blank: all tenants are alike."""
    dedupe: bool = False
    dedupe_ttl_s: int = 120
    probe_path: str = ""

    def __hash__(self) -> int:
        return hash(self.id)

    def client_secret(self) -> str:
        """The plain client secret; raises :class:`quota_platform.base.secrets.SecretUnreadable`."""
        return self._unsealed(self.client_secret_sealed, "client_secret")

    def access_key_secret(self) -> str:
        """The plain access key secret; raises :class:`quota_platform.base.secrets.SecretUnreadable`."""
        return self._unsealed(self.access_key_secret_sealed, "access_key_secret")

    def _unsealed(self, sealed: str, name: str) -> str:
        return secrets.unseal(sealed, purpose=f"connection:{self.uid}:{name}") if sealed else ""

    @property
    def discovers(self) -> bool:
        """True for a CXone business unit: it is asked where its token endpoint and API host are."""
        return bool(self.issuer_url)

    @property
    def resolved_token_url(self) -> str:
        """The token endpoint; for a connection that discovers it, the one to fall back to."""
        return self.token_url or presets.token_url(
            self.preset, base_url=self.base_url, issuer_url=self.issuer_url, area=self.area
        )


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One registered action; blank values are the kind's. ``id`` is None for an unlisted one that its tenant accepts.

    Hashed by ``id`` and ``action_id`` alone.
    """

    id: int | None
    action_id: str
    kind: str = "webaction"
    enabled: bool = True
    cost: int = 1
    timeout_ms: int = 30_000
    idempotent: bool = False
    method: str = ""
    path_template: str = ""
    query_template: tuple[tuple[str, str], ...] = ()
    param_map: tuple[str, ...] = ()
    success_statuses: tuple[int, ...] = presets.SUCCESS
    skill_id: str = ""
    script_path: str = ""
    script_id: str = ""
    point_of_contact: str = ""
    cost_from: str = ""
    """JSON Pointer to the list or number by which ``cost`` is multiplied (:mod:`tenants.cost`)."""
    min_cost: int = 1
    max_cost: int = MAX_COST
    cost_without: int | None = None
    failure_at: str = ""
    """JSON Pointer to the part of a 2xx response that shows a failure (:mod:`tenants.failure`)."""
    failure_when: str = When.FILLED.value
    failure_values: tuple[Any, ...] = ()
    failure_counts_as: str = CountsAs.ERROR.value

    def __hash__(self) -> int:
        return hash((self.id, self.action_id))


def unlisted_action(connection: ConnectionSpec, action_id: str) -> ActionSpec:
    """The action a tenant that accepts unlisted ones invokes by a name not registered here."""
    return ActionSpec(id=None, action_id=action_id, kind=presets.PRESETS[connection.preset].default_kind or "webaction")


@dataclass(frozen=True, slots=True)
class TenantSpec:
    """One tenant with its connection and actions."""

    id: int
    tenant_id: str
    name: str
    active: bool
    envelope: bool
    accept_unlisted_actions: bool
    connection: ConnectionSpec
    actions: dict[str, ActionSpec]


@dataclass(frozen=True, slots=True)
class KeySpec:
    """One API key. Times are epoch seconds.

    ``tenant_id`` is None for a platform key. Which tenants it acts for is looked up one by one: they may be all.
    ``max_class``: the highest class of its calls in shared limits.
    """

    id: int
    prefix: str
    digest: str = dataclasses.field(repr=False)
    tenant_id: str | None
    expires_at: float | None
    revoked: bool
    max_class: str = ApiKey.MaxClass.CRITICAL.value


_statuses: dict[tuple[int, ...], tuple[int, ...]] = {}


def kept_once(statuses: tuple[int, ...]) -> tuple[int, ...]:
    """The same statuses, as the one object that all actions with them share."""
    return _statuses.setdefault(statuses, statuses)


_MAX_CONNECTIONS = 4096
_connections: dict[int, ConnectionSpec] = {}


def same_connection(spec: ConnectionSpec) -> ConnectionSpec:
    """The connection as the one object that earlier loads made of the same values: tenants share it as it is."""
    kept = _connections.get(spec.id)
    if kept == spec:
        return kept
    if len(_connections) >= _MAX_CONNECTIONS:
        _connections.clear()
    _connections[spec.id] = spec
    return spec
