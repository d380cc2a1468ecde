"""The rows of the record: throttle events, usage, edits, and what could not be stored."""

from limiter.record.models.audit import AuditEntry
from limiter.record.models.dead_letter import DeadLetter
from limiter.record.models.event import ThrottleEvent
from limiter.record.models.gap import RecordGap
from limiter.record.models.multiplier import MultiplierChange
from limiter.record.models.usage import UsageBatch, UsageDay, UsageHour, UsageMinute

__all__ = [
    "AuditEntry",
    "DeadLetter",
    "MultiplierChange",
    "RecordGap",
    "ThrottleEvent",
    "UsageBatch",
    "UsageDay",
    "UsageHour",
    "UsageMinute",
]
