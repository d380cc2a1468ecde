"""What reports bring: exports of the record, and reports that are saved and sent."""

from __future__ import annotations

from limiter.reports import event_types
from limiter.reports.models import Export, ReportSchedule
from quota_platform.base.features import Audited, Feature, NavigationPage, Periodic
from quota_platform.base.row_access import Rule, everything

_SECTION = "Audit log"
_EXPORT = (
    *("limiter.view_export", "limiter.add_export", "limiter.change_export"),
    *(f"limiter.{verb}_reportschedule" for verb in ("view", "add", "change", "delete")),
)

FEATURE = Feature(
    package="limiter.reports",
    events=event_types.TYPES,
    # Whose an export or a saved report is, limiter.reports.access says.
    rows={Export: Rule(seen=everything), ReportSchedule: Rule(seen=everything)},
    audited={ReportSchedule: Audited("report")},
    rights={"Supervisor": _EXPORT, "Auditor": _EXPORT},
    pages=(
        NavigationPage(_SECTION, "Exports", "download", "limiter.export"),
        NavigationPage(_SECTION, "Saved reports", "event_repeat", "limiter.reportschedule"),
    ),
    periodic=(
        Periodic("order reports", "limiter.tasks.order_reports", every_s=60),
        Periodic("mail reports", "limiter.tasks.mail_reports", every_s=15),
        Periodic("tend exports", "limiter.tasks.tend_exports", every_s=60),
    ),
    resources={
        "report-schedules": "limiter.reports.api.schedules.ScheduleResource",
        "exports": "limiter.reports.api.exports.ExportResource",
    },
    paths={"events.csv": "limiter.reports.api.exports.EventsCsv"},
)
