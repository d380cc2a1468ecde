"""What the way upstream brings beside the calls themselves: tokens are renewed before they end."""

from __future__ import annotations

from limiter.upstream import attention
from quota_platform.base.features import Feature, Periodic

FEATURE = Feature(
    package="limiter.upstream",
    attention=attention.notices,
    periodic=(Periodic("refresh upstream tokens", "limiter.tasks.refresh_upstream_tokens", every_s=15),),
)
