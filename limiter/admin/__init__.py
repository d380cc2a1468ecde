"""The admin's pages for policies, assignments, overrides and the record of refusals."""

from limiter.admin import action_preview, connection_state, hook, schedule, tenant_limits
from limiter.admin.alert import AlertAdmin
from limiter.admin.assignment import AssignmentAdmin
from limiter.admin.event import ThrottleEventAdmin
from limiter.admin.export import ExportAdmin
from limiter.admin.hook import AlertDeliveryAdmin, AlertHookAdmin
from limiter.admin.override import OverrideAdmin
from limiter.admin.policy import QuotaPolicyAdmin
from limiter.admin.record import AuditEntryAdmin, DeadLetterAdmin, MultiplierChangeAdmin, RecordGapAdmin
from limiter.admin.schedule import ReportScheduleAdmin

for panels in (action_preview, connection_state, hook, schedule, tenant_limits):
    panels.register()

__all__ = [
    "AlertAdmin",
    "AlertDeliveryAdmin",
    "AlertHookAdmin",
    "AssignmentAdmin",
    "AuditEntryAdmin",
    "DeadLetterAdmin",
    "ExportAdmin",
    "MultiplierChangeAdmin",
    "OverrideAdmin",
    "QuotaPolicyAdmin",
    "RecordGapAdmin",
    "ReportScheduleAdmin",
    "ThrottleEventAdmin",
]
