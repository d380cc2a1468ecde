"""What the way upstream brings beside the calls themselves: tokens are renewed before they end."""

from __future__ import annotations

from limiter.upstream import attention, event_types
from quota_platform.base.features import Feature, Periodic

FEATURE = Feature(
    package="limiter.upstream",
    events=event_types.TYPES,
    attention=attention.notices,
    periodic=(Periodic("refresh upstream tokens", "limiter.tasks.refresh_upstream_tokens", every_s=15),),
)
