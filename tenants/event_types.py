"""The events of API keys: made, about to expire, revoked. The token of a key, and any part of it, stays out of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from quota_platform.base import records
from quota_platform.base.events import Data, EventType, Occurrence
from tenants.models import ApiKey, Tenant

EXPIRING_DAYS = (14, 7, 1)
"""So long before its end a key is about to expire."""
_EXAMPLE = {
    "tenant_id": "acme",
    "key_id": 12,
    "key": "IVR production",
    "by": "ana",
    "reason": "New contact centre",
    "expires_at": "2027-02-01T00:00:00+00:00",
    "url": "https://quota.example.com/admin/tenants/apikey/12/change/",
}
_FACTS = {"Key": "key", "Tenant": "tenant_id", "By": "by", "Reason": "reason", "Expires": "expires_at"}
_PAGE = "/admin/tenants/apikey/{key_id}/change/"


def _created(since: datetime, until: datetime) -> Iterator[Occurrence]:
    rows = ApiKey.history.filter(history_type="+", history_date__gte=since, history_date__lte=until)
    for record in rows.select_related("history_user"):
        by = record.created_by or records.editor(record)
        yield _occurrence(record, f"{record.id}", record.history_date, {"by": by, "reason": records.reason(record)})


def _revoked(since: datetime, until: datetime) -> Iterator[Occurrence]:
    """Further edits of a revoked key are the same event: its time is in the key."""
    rows = ApiKey.history.filter(history_type="~", revoked_at__gte=since, history_date__gte=since)
    for record in rows.filter(history_date__lte=until).select_related("history_user").order_by("history_id"):
        details = {"by": records.editor(record), "reason": records.reason(record)}
        yield _occurrence(record, f"{record.id}@{record.revoked_at.isoformat()}", record.revoked_at, details)


def _expiring(since: datetime, until: datetime) -> Iterator[Occurrence]:
    """Keys that came so near to their end in this time, or whose end an edit moved there."""
    for days in EXPIRING_DAYS:
        before = timedelta(days=days)
        near = ApiKey.objects.filter(revoked_at=None, expires_at__gt=since + before, expires_at__lte=until + before)
        for key in near:
            if key.expires_at and key.created_at < key.expires_at - before:
                yield _ending(key, key.expires_at, days, at=key.expires_at - before)
    yield from _moved(since, until)


def _moved(since: datetime, until: datetime) -> Iterator[Occurrence]:
    soon = until + timedelta(days=max(EXPIRING_DAYS))
    rows = ApiKey.history.filter(history_type="~", revoked_at=None, expires_at__gt=until, expires_at__lte=soon)
    for record in rows.filter(history_date__gte=since, history_date__lte=until):
        earlier = record.prev_record
        if earlier is not None and earlier.expires_at != record.expires_at:
            left = record.expires_at - record.history_date
            days = min(each for each in EXPIRING_DAYS if left <= timedelta(days=each, minutes=5))
            yield _ending(record, record.expires_at, days, at=record.history_date)


def _ending(key: Any, ends: datetime, days: int, *, at: datetime) -> Occurrence:
    return _occurrence(key, f"{key.id}@{ends.isoformat()}:{days}", at, {"days": days})


def _occurrence(key: Any, name: str, at: datetime, more: Data) -> Occurrence:
    """``key``: the row, or one of its history, whose tenant may be gone."""
    tenants = Tenant.objects.filter(pk=key.tenant_id)
    return Occurrence(key=name, at=at, data=lambda: _data(key, tenants, more), tenants=tenants)


def _data(key: Any, tenants: QuerySet[Tenant], more: Data) -> Data:
    return {
        "tenant_id": tenants.values_list("tenant_id", flat=True).first(),
        "key_id": key.id,
        "key": key.name,
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        **more,
    }


TYPES = (
    EventType(
        name="key.created",
        label=_("API key created"),
        title="API key {key} was created",
        facts=_FACTS,
        example=_EXAMPLE,
        page=_PAGE,
        find=_created,
    ),
    EventType(
        name="key.expiring",
        label=_("API key about to expire"),
        title="API key {key} expires within {days} d",
        facts={"Key": "key", "Tenant": "tenant_id", "Expires": "expires_at"},
        severity="warning",
        example={**{name: _EXAMPLE[name] for name in ("tenant_id", "key_id", "key", "expires_at", "url")}, "days": 7},
        page=_PAGE,
        find=_expiring,
    ),
    EventType(
        name="key.revoked",
        label=_("API key revoked"),
        title="API key {key} was revoked",
        facts=_FACTS,
        severity="warning",
        example={**_EXAMPLE, "reason": "Found in a log"},
        page=_PAGE,
        find=_revoked,
    ),
)
