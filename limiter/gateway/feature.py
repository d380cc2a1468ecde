"""What the gateway brings: the events of its workers."""

from __future__ import annotations

from limiter.gateway import event_types
from quota_platform.base.features import Feature

FEATURE = Feature(package="limiter.gateway", events=event_types.TYPES)
