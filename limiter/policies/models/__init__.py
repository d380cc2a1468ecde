"""The rows that say how much: policies, their limits, their assignments, and overrides."""

from limiter.policies.models.assignment import Assignment
from limiter.policies.models.limit import QuotaLimit
from limiter.policies.models.override import Override
from limiter.policies.models.policy import QuotaPolicy

__all__ = ["Assignment", "Override", "QuotaLimit", "QuotaPolicy"]
