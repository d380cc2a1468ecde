"""The rows that say how much (policies, limits, assignments, overrides), and the record of what came of them."""

from limiter.models.alert import Alert
from limiter.models.assignment import Assignment, Override
from limiter.models.audit import AuditEntry
from limiter.models.dead_letter import DeadLetter
from limiter.models.event import ThrottleEvent
from limiter.models.export import Export
from limiter.models.gap import RecordGap
from limiter.models.hook import AlertDelivery, AlertHook
from limiter.models.limit import QuotaLimit
from limiter.models.multiplier import MultiplierChange
from limiter.models.policy import QuotaPolicy
from limiter.models.schedule import ReportMail, ReportSchedule
from limiter.models.usage import UsageBatch, UsageDay, UsageHour, UsageMinute
from quota_platform.base.models.attempted import Attempted

__all__ = [
    "Alert",
    "AlertDelivery",
    "AlertHook",
    "Assignment",
    "Attempted",
    "AuditEntry",
    "DeadLetter",
    "Export",
    "MultiplierChange",
    "Override",
    "QuotaLimit",
    "QuotaPolicy",
    "RecordGap",
    "ReportMail",
    "ReportSchedule",
    "ThrottleEvent",
    "UsageBatch",
    "UsageDay",
    "UsageHour",
    "UsageMinute",
]
