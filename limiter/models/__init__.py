"""The rows that say how much: policies and their limits, assignments, overrides, and the record of refusals."""

from limiter.models.assignment import Assignment, Override
from limiter.models.event import ThrottleEvent
from limiter.models.limit import QuotaLimit
from limiter.models.policy import QuotaPolicy

__all__ = ["Assignment", "Override", "QuotaLimit", "QuotaPolicy", "ThrottleEvent"]
