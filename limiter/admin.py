"""The admin's pages for policies, assignments, overrides and the record of refusals."""

from limiter.alerts.admin import hook
from limiter.alerts.admin.alert import AlertAdmin
from limiter.alerts.admin.hook import AlertDeliveryAdmin, AlertHookAdmin
from limiter.gateway.admin import connection_state
from limiter.policies.admin import tenant_limits
from limiter.policies.admin.assignment import AssignmentAdmin
from limiter.policies.admin.override import OverrideAdmin
from limiter.policies.admin.policy import QuotaPolicyAdmin
from limiter.record.admin.event import ThrottleEventAdmin
from limiter.record.admin.record import AuditEntryAdmin, DeadLetterAdmin, MultiplierChangeAdmin, RecordGapAdmin
from limiter.reports.admin import schedule
from limiter.reports.admin.export import ExportAdmin
from limiter.reports.admin.schedule import ReportScheduleAdmin
from limiter.upstream.admin import action_preview

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
