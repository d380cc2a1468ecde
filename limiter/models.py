"""Every model of the limiter, for Django to find; the features hold them."""

from limiter.alerts.models import Alert, AlertDelivery, AlertHook, EventMark, Mute, OpenEvent
from limiter.demand.models import DemandBlock, RecordedSpan
from limiter.incidents.models import EventCursor, Incident, TeamEntry
from limiter.policies.models import Assignment, Override, QuotaLimit, QuotaPolicy
from limiter.record.models import (
    AuditEntry,
    DeadLetter,
    MultiplierChange,
    RecordGap,
    ThrottleEvent,
    UsageBatch,
    UsageDay,
    UsageHour,
    UsageMinute,
)
from limiter.reports.models import Export, ReportMail, ReportSchedule
from quota_platform.base.models.attempted import Attempted

__all__ = [
    "Alert",
    "AlertDelivery",
    "AlertHook",
    "Assignment",
    "Attempted",
    "AuditEntry",
    "DeadLetter",
    "DemandBlock",
    "EventCursor",
    "EventMark",
    "Export",
    "Incident",
    "MultiplierChange",
    "Mute",
    "OpenEvent",
    "Override",
    "QuotaLimit",
    "QuotaPolicy",
    "RecordGap",
    "RecordedSpan",
    "ReportMail",
    "ReportSchedule",
    "TeamEntry",
    "ThrottleEvent",
    "UsageBatch",
    "UsageDay",
    "UsageHour",
    "UsageMinute",
]
