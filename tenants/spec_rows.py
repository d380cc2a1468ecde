"""Rows of tenants, actions and connections as the frozen values of ``directory.py``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Protocol

from tenants import presets
from tenants.directory import ActionSpec, ConnectionSpec, TenantSpec, kept_once
from tenants.models import Action, Connection, Tenant

ACTION_COLUMNS = tuple(ActionSpec.__dataclass_fields__)
"""The columns that a spec is made of."""
TENANT_COLUMNS = ("id", "tenant_id", "name", "status", "envelope", "accept_unlisted_actions", "connection_id")


class TenantRow(Protocol):
    """The columns of a tenant, as the model or :data:`TENANT_COLUMNS` have them."""

    id: int
    tenant_id: str
    name: str
    status: str
    envelope: bool
    accept_unlisted_actions: bool
    connection_id: int


def connection_spec(row: Connection) -> ConnectionSpec:
    """The row with its preset's values in its blank fields; a field that does not apply counts as blank."""
    preset = presets.PRESETS[row.preset]

    def own(field: str, otherwise: Any = "") -> Any:
        return (getattr(row, field) if field in preset.fields else "") or otherwise

    scope = own("scope", preset.scope)
    return ConnectionSpec(
        id=row.pk,
        uid=str(row.uid),
        name=row.name,
        preset=row.preset,
        enabled=row.enabled,
        is_sandbox=row.is_sandbox,
        base_url=row.base_url.rstrip("/"),
        token_url=row.token_url,
        client_auth=own("client_auth", preset.client_auth),
        client_id=own("client_id"),
        client_secret_sealed=row.client_secret_sealed if "client_secret" in preset.fields else "",
        scope="" if scope == presets.NO_SCOPE else scope,
        token_refresh_skew_s=(
            preset.token_refresh_skew_s if row.token_refresh_skew_s is None else row.token_refresh_skew_s
        ),
        connect_timeout_s=row.connect_timeout_s,
        total_deadline_s=row.total_deadline_s,
        max_response_bytes=row.max_response_bytes,
        allowed_host_suffixes=tuple(row.suffixes()),
        grant_type=own("grant_type", preset.grant_type),
        basic_urlencode=bool(own("basic_urlencode", False)),
        token_body=own("token_body", "form"),
        token_extra_params=tuple(sorted(own("token_extra_params", {}).items())),
        access_key_id=own("access_key_id"),
        access_key_secret_sealed=row.access_key_secret_sealed if "access_key_secret" in preset.fields else "",
        issuer_url=own("issuer_url", row.base_url if preset.issuer_url and row.is_sandbox else preset.issuer_url),
        area=own("area", presets.DEFAULT_AREA if preset.grant_type == "access_key" and not row.is_sandbox else ""),
        cxone_tenant_id=str(own("cxone_tenant_id")),
        api_version=own("api_version", presets.DEFAULT_API_VERSION),
        max_retries=row.max_retries,
        breaker_failure_percent=row.breaker_failure_percent,
        breaker_min_calls=row.breaker_min_calls,
        breaker_window_s=row.breaker_window_s,
        breaker_cooldown_s=row.breaker_cooldown_s,
        pause_on_pushback=row.pause_on_pushback,
        max_pause_s=row.max_pause_s,
        learns_in_flight=row.learns_in_flight,
        slow_above_ms=row.slow_above_ms,
        min_in_flight=row.min_in_flight,
        max_in_flight=row.max_in_flight,
        pace=_pace(row),
        shared=row.shared,
        shared_like=row.shared_like,
        dedupe=row.dedupe,
        dedupe_ttl_s=row.dedupe_ttl_s,
        probe_path=row.probe_path or preset.probe_path,
    )


def _pace(row: Connection) -> str:
    if row.pace == Connection.Pace.FIXED:
        return str(row.pace_per_minute or "")
    return "learn" if row.pace == Connection.Pace.LEARN else ""


def action_spec(row: Action | Any) -> ActionSpec:
    """``row``: the model's, or one of :data:`ACTION_COLUMNS`. Values that many actions share are kept once,
    which halves its weight.
    """
    return ActionSpec(
        id=row.id,
        action_id=sys.intern(row.action_id),
        kind=sys.intern(row.kind),
        enabled=row.enabled,
        cost=row.cost,
        timeout_ms=row.timeout_ms,
        idempotent=row.idempotent,
        method=row.method,
        path_template=row.path_template,
        query_template=tuple(row.query_template.items()),
        param_map=tuple(row.param_map),
        success_statuses=kept_once(tuple(row.success_statuses) or presets.SUCCESS),
        skill_id=row.skill_id,
        script_path=row.script_path,
        script_id=row.script_id,
        point_of_contact=row.point_of_contact,
        cost_from=row.cost_from,
        min_cost=row.min_cost,
        max_cost=row.max_cost,
        cost_without=row.cost_without,
        failure_at=row.failure_at,
        failure_when=sys.intern(row.failure_when),
        failure_values=tuple(row.failure_values),
        failure_counts_as=sys.intern(row.failure_counts_as),
    )


def tenant_spec(row: TenantRow, connection: ConnectionSpec, actions: Iterable[ActionSpec]) -> TenantSpec:
    """The tenant with its connection and its actions."""
    return TenantSpec(
        id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        active=row.status == Tenant.Status.ACTIVE,
        envelope=row.envelope,
        accept_unlisted_actions=row.accept_unlisted_actions,
        connection=connection,
        actions={action.action_id: action for action in actions},
    )
