"""Who may change limits from the dashboard; which tenants a person sees says :mod:`tenants.scope`."""

from __future__ import annotations

from typing import Any

ACT = "limiter.add_override"


def may_act(user: Any) -> bool:
    """Whether the person may change limits for a while."""
    return bool(user.is_active and user.has_perm(ACT))
