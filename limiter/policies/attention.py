"""Overrides that end soon, and policies that cannot compile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from limiter.policies import stored
from limiter.policies.models import Override, QuotaPolicy
from quota_platform.base.attention import Notice, first_of
from quota_platform.base.row_access import viewed

SOON = timedelta(hours=24)
MAX_COMPILED = 500
"""Policies that are looked at, those changed last: what an old release or SQL wrote is rare, and pages are not."""


def notices(person: Any) -> Iterator[Notice]:
    """Of the rows that this person may see."""
    yield from _broken(person)
    yield from _ending(person)


def _broken(person: Any) -> Iterator[Notice]:
    latest = viewed(person, QuotaPolicy).order_by("-pk").values_list("pk", flat=True)[:MAX_COMPILED]
    for policy_id, spec in stored.read_policies(list(latest)).items():
        if isinstance(spec, stored.Unusable):
            url = reverse("admin:limiter_quotapolicy_change", args=[policy_id])
            yield Notice(_("It cannot be compiled: {problem}").format(problem=spec), url, urgent=True)


def _ending(person: Any) -> Iterator[Notice]:
    now = timezone.now()
    active = viewed(person, Override).filter(starts_at__lte=now, ends_at__gt=now, ends_at__lte=now + SOON)
    return first_of(
        active.select_related("tenant", "action").order_by("ends_at"),
        _end,
        lambda count: ngettext("{count} more override ends today.", "{count} more overrides end within a day.", count),
        url=reverse("admin:limiter_override_changelist"),
    )


def _end(row: Override) -> Notice:
    said = _("The override of {target} ends on {date}: {reason}")
    text = said.format(target=row.action or row.tenant, date=f"{row.ends_at:%Y-%m-%d %H:%M} UTC", reason=row.reason)
    return Notice(text, reverse("admin:limiter_override_change", args=[row.pk]))
