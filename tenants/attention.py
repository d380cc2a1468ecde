"""Keys and tokens that run out soon, or ran out lately."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from quota_platform.base.attention import Notice, first_of
from quota_platform.base.row_access import viewed
from tenants.models import ApiKey, ApiToken

SOON = timedelta(days=14)
LATELY = timedelta(days=7)
"""Later, nobody seems to miss what ran out."""
_SOON = gettext_noop("{name} expires on {date}.")
_EXPIRED = gettext_noop("{name} expired on {date}.")


def notices(person: Any) -> Iterator[Notice]:
    """The keys and tokens that this person may see, the next to run out first."""
    yield from _running_out(person, ApiKey)
    yield from _running_out(person, ApiToken)


def _running_out(person: Any, model: type[ApiKey] | type[ApiToken]) -> Iterator[Notice]:
    now, page = timezone.now(), f"admin:{model._meta.app_label}_{model._meta.model_name}"
    rows = viewed(person, model).filter(revoked_at=None, expires_at__gt=now - LATELY, expires_at__lte=now + SOON)
    return first_of(
        rows.order_by("expires_at"),
        lambda row: _notice(row, now, url=reverse(f"{page}_change", args=[row.pk])),
        lambda count: ngettext(
            "{count} more expires within two weeks.", "{count} more expire within two weeks.", count
        ),
        url=reverse(f"{page}_changelist"),
    )


def _notice(row: ApiKey | ApiToken, now: datetime, *, url: str) -> Notice:
    assert row.expires_at is not None
    expired = row.expires_at <= now
    text = _(_EXPIRED if expired else _SOON)
    return Notice(text.format(name=row, date=f"{row.expires_at:%Y-%m-%d %H:%M} UTC"), url, urgent=expired)
