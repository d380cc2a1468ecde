"""What a person may do from the dashboard; where, :mod:`tenants.scope` says."""

from __future__ import annotations

from typing import Any

from limiter.incidents import team
from quota_platform.base.row_access import sees_every_tenant

ACT = "limiter.add_override"


def may_act(user: Any) -> bool:
    """Whether the person may change limits for a while."""
    return bool(user.has_perm(ACT))


def may_end(user: Any, created_by: str) -> bool:
    """Whether the person may end an override: one that they started, or with the right to change overrides any."""
    return may_act(user) and (created_by == user.get_username() or bool(user.has_perm("limiter.change_override")))


def may_revoke(user: Any) -> bool:
    return bool(user.has_perm("tenants.revoke_apikey") or user.has_perm("tenants.change_apikey"))


def may_reset(user: Any) -> bool:
    return bool(user.has_perm("limiter.reset_counter"))


def may_export(user: Any) -> bool:
    """Whether the admin's list of exports is the person's to open."""
    return bool(user.is_staff and user.has_perm("limiter.add_export") and user.has_perm("limiter.view_export"))


def may_explain(user: Any) -> bool:
    """Whether the admin's page that explains a refusal is the person's to open."""
    return bool(user.is_active and user.is_staff and user.has_perm("limiter.view_throttleevent"))


def may_open_connections(user: Any) -> bool:
    """Whether the admin's page of a connection is the person's to open."""
    return bool(user.is_staff and user.has_perm("tenants.view_connection"))


def may_handle(user: Any) -> bool:
    """Whether the person may acknowledge, mute, note and assign alerts and incidents."""
    return bool(user.has_perm(team.ACT))


def may_set_up(user: Any) -> bool:
    """Whether the admin's first steps are the person's to take: they make tenants, with all that belongs to these."""
    adds = ("tenants.add_connection", "tenants.add_tenant", "limiter.add_quotapolicy")
    return bool(user.is_staff and sees_every_tenant(user) and user.has_perms(adds))
