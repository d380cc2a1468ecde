"""Tenants, actions, connections and keys as frozen values: what a worker holds in memory and decides from.

Rows become specs here, once, off the hot path; a spec never touches the database again.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from tenants import secrets
from tenants.models import Action, ApiKey, Connection, Tenant


@dataclass(frozen=True, slots=True)
class ConnectionSpec:
    """One upstream account. The client secret stays sealed; :meth:`client_secret` opens it when a token is needed."""

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

    def client_secret(self) -> str:
        """The plain client secret; raises :class:`tenants.secrets.SecretUnreadable`."""
        if not self.client_secret_sealed:
            return ""
        return secrets.unseal(self.client_secret_sealed, purpose=f"connection:{self.uid}:client_secret")

    @property
    def resolved_token_url(self) -> str:
        return self.token_url or f"{self.base_url.rstrip('/')}/oauth/token"


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One registered action. ``id`` is None for an unlisted one that its tenant accepts."""

    id: int | None
    action_id: str
    kind: str = "webaction"
    enabled: bool = True
    cost: int = 1
    timeout_ms: int = 30_000
    idempotent: bool = False


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
    """One API key. ``tenant_id`` is None for a platform key, which acts for ``acts_for``. Times are epoch seconds."""

    id: int
    prefix: str
    digest: str = dataclasses.field(repr=False)
    tenant_id: str | None
    acts_for: frozenset[str]
    expires_at: float | None
    revoked: bool


def connection_spec(row: Connection) -> ConnectionSpec:
    return ConnectionSpec(
        id=row.pk,
        uid=str(row.uid),
        name=row.name,
        preset=row.preset,
        enabled=row.enabled,
        is_sandbox=row.is_sandbox,
        base_url=row.base_url,
        token_url=row.token_url,
        client_auth=row.client_auth,
        client_id=row.client_id,
        client_secret_sealed=row.client_secret_sealed,
        scope=row.scope,
        token_refresh_skew_s=row.token_refresh_skew_s,
        connect_timeout_s=row.connect_timeout_s,
        total_deadline_s=row.total_deadline_s,
        max_response_bytes=row.max_response_bytes,
        allowed_host_suffixes=tuple(row.suffixes()),
    )


def action_spec(row: Action) -> ActionSpec:
    return ActionSpec(
        id=row.pk,
        action_id=row.action_id,
        kind=row.kind,
        enabled=row.enabled,
        cost=row.cost,
        timeout_ms=row.timeout_ms,
        idempotent=row.idempotent,
    )


def tenant_spec(row: Tenant) -> TenantSpec:
    """The tenant as it stands in the database now; two queries when ``connection`` was selected with the row."""
    return TenantSpec(
        id=row.pk,
        tenant_id=row.tenant_id,
        name=row.name,
        active=row.status == Tenant.Status.ACTIVE,
        envelope=row.envelope,
        accept_unlisted_actions=row.accept_unlisted_actions,
        connection=connection_spec(row.connection),
        actions={action.action_id: action_spec(action) for action in row.actions.all()},
    )


def key_spec(row: ApiKey) -> KeySpec:
    return KeySpec(
        id=row.pk,
        prefix=row.prefix,
        digest=row.digest,
        tenant_id=row.tenant.tenant_id if row.tenant else None,
        acts_for=frozenset(row.acts_for.values_list("tenant_id", flat=True)) if row.tenant_id is None else frozenset(),
        expires_at=row.expires_at.timestamp() if row.expires_at else None,
        revoked=row.revoked_at is not None,
    )


def load_tenant(tenant_id: str) -> TenantSpec | None:
    """One tenant by its public id, or None. Synchronous: call it off the event loop."""
    row = Tenant.objects.select_related("connection").filter(tenant_id=tenant_id).first()
    return tenant_spec(row) if row else None


def load_key(prefix: str) -> KeySpec | None:
    """One API key by its prefix, or None. Synchronous: call it off the event loop."""
    row = ApiKey.objects.select_related("tenant").filter(prefix=prefix).first()
    return key_spec(row) if row else None


def as_dict(spec: TenantSpec | KeySpec) -> dict[str, Any]:
    """A spec as plain JSON-able data, for the shared second level."""
    data = dataclasses.asdict(spec)
    if isinstance(spec, KeySpec):
        data["acts_for"] = sorted(spec.acts_for)
    return data


def tenant_from_dict(data: dict[str, Any]) -> TenantSpec:
    connection = dict(data["connection"])
    connection["allowed_host_suffixes"] = tuple(connection["allowed_host_suffixes"])
    actions = {key: ActionSpec(**value) for key, value in data["actions"].items()}
    return TenantSpec(**{**data, "connection": ConnectionSpec(**connection), "actions": actions})


def key_from_dict(data: dict[str, Any]) -> KeySpec:
    return KeySpec(**{**data, "acts_for": frozenset(data["acts_for"])})
