"""Running saved reports: each period once, even if a worker dies or a task comes twice, with the owner's rights now."""

from __future__ import annotations

from datetime import datetime

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from limiter.record import runs
from limiter.reports import orders, rhythm, selection
from limiter.reports.models import Export, ReportSchedule
from quota_platform.base.kept import kept_text

GONE = kept_text("Its owner is no more, or may not sign in.")
NOT_ORDERED = kept_text("Not ordered: {why}")


def order_due() -> int | None:
    """Order the reports that are due, unless somebody else is at it: then None. How many were ordered."""
    return runs.alone("order_reports", lambda client: order_all(), at_most_s=300)


def order_all(*, now: datetime | None = None) -> int:
    """Order the reports that are due. Of several missed periods, only the last one is made up for."""
    now = now or timezone.now()
    return sum(_order_due(schedule, now) for schedule in _known().filter(enabled=True).order_by("pk"))


def _known() -> QuerySet[ReportSchedule]:
    """Those that this release understands; a newer one may have saved others."""
    return ReportSchedule.objects.filter(
        kind__in=Export.Kind.values, format__in=Export.Format.values, rhythm__in=ReportSchedule.Rhythm.values
    )


def _order_due(schedule: ReportSchedule, now: datetime) -> bool:
    moment = rhythm.latest(schedule, now)
    if moment is None or Export.objects.filter(schedule=schedule, due_at=moment).exists():
        return False
    try:
        with transaction.atomic():
            run(schedule, moment, due_at=moment)
    except IntegrityError:
        return False  # another worker was faster
    except PermissionDenied as error:
        _refuse(schedule, moment, str(error))
        return False
    except ValidationError as error:
        _refuse(schedule, moment, " ".join(error.messages))
        return False
    return True


def run(schedule: ReportSchedule, moment: datetime, *, due_at: datetime | None = None) -> Export:
    """Order the report as of ``moment``; raises PermissionDenied or ValidationError."""
    owner = schedule.owner
    if owner is None or not owner.is_active:
        raise PermissionDenied(gettext(GONE))
    export = orders.order(draft(schedule, moment, due_at=due_at), user=owner)
    ReportSchedule.objects.filter(pk=schedule.pk).exclude(refused="").update(refused="")
    return export


def draft(schedule: ReportSchedule, moment: datetime, *, due_at: datetime | None = None) -> Export:
    """The export that a run orders, not saved."""
    since, until = rhythm.covered(schedule, moment)
    return Export(
        schedule=schedule,
        due_at=due_at,
        kind=schedule.kind,
        format=schedule.format,
        since=since,
        until=until,
        tenants=schedule.tenants,
        actions=schedule.actions,
        policies=schedule.policies,
        time_zone=schedule.time_zone,
    )


def check(schedule: ReportSchedule) -> None:
    """Refuse what could not be built, naming the field; raises ValidationError."""
    selection.check(draft(schedule, timezone.now()))


def _refuse(schedule: ReportSchedule, moment: datetime, why: str) -> None:
    """Leave a run that says why there is no file, so that it is not tried every minute."""
    export = draft(schedule, moment, due_at=moment)
    export.state, export.finished_at = Export.State.FAILED, timezone.now()
    export.error = NOT_ORDERED.format(why=why)[:200]
    export.requested_by, export.requested_name, export.scope = schedule.owner, schedule.owner_name, []
    try:
        with transaction.atomic():
            export.save()
            ReportSchedule.objects.filter(pk=schedule.pk).update(refused=why[:200])
    except IntegrityError:
        return
