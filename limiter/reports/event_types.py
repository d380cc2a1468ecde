"""The events of exports: the file can be downloaded, or could not be made."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from limiter.reports.models import Export
from quota_platform.base.events import Data, EventType, Occurrence
from tenants.models import Tenant

_EXAMPLE = {
    "tenant_id": "acme",
    "export_id": "0d5f2c86-4f7b-4a5e-9f9a-4d0a5d0e7c11",
    "kind": "events",
    "format": "csv.gz",
    "since": "2026-10-01T00:00:00+00:00",
    "until": "2026-11-01T00:00:00+00:00",
    "rows": 1200,
    "requested_by": "ana",
    "error": "",
    "url": "https://quota.example.com/admin/limiter/export/0d5f2c86-4f7b-4a5e-9f9a-4d0a5d0e7c11/change/",
}
_FACTS = {"Format": "format", "From": "since", "Until": "until", "Rows": "rows", "Requested by": "requested_by"}
_PAGE = "/admin/limiter/export/{export_id}/change/"


def _finished(state: str, since: datetime, until: datetime) -> Iterator[Occurrence]:
    for export in Export.objects.filter(state=state, finished_at__gte=since, finished_at__lte=until):
        yield Occurrence(
            key=str(export.pk),
            at=export.finished_at or until,
            data=partial(_data, export),
            tenants=_whose(export),
        )


def _data(export: Export) -> Data:
    return {
        "tenant_id": _whose(export).values_list("tenant_id", flat=True).first(),
        "export_id": str(export.pk),
        "kind": export.kind,
        "format": export.format,
        "since": export.since.isoformat(),
        "until": export.until.isoformat(),
        "rows": export.rows,
        "requested_by": export.requested_name,
        "error": export.error,
    }


def _whose(export: Export) -> QuerySet[Tenant]:
    """The one tenant whose rows alone are in the file; an export of several is no single tenant's event."""
    chosen, seen = set(export.tenants), set(export.scope or ())
    names = seen if not chosen else chosen if export.scope is None else chosen & seen
    return Tenant.objects.filter(tenant_id__in=names) if len(names) == 1 else Tenant.objects.none()


TYPES = (
    EventType(
        name="export.ready",
        label=_("export ready"),
        title="The export of {kind} is ready",
        subject="{requested_by}",
        facts=_FACTS,
        example=_EXAMPLE,
        page=_PAGE,
        find=partial(_finished, Export.State.DONE.value),
    ),
    EventType(
        name="export.failed",
        label=_("export failed"),
        title="The export of {kind} failed",
        subject="{requested_by}",
        facts={**_FACTS, "Error": "error"},
        severity="warning",
        example={**_EXAMPLE, "rows": 0, "error": "OSError: see the worker's log"},
        page=_PAGE,
        find=partial(_finished, Export.State.FAILED.value),
    ),
)
