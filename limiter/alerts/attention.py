"""Contact points that messages do not reach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from limiter.alerts import deliveries
from limiter.alerts.models import AlertHook
from quota_platform.base.attention import Notice, first_of
from quota_platform.base.kept import in_words
from quota_platform.base.languages import number
from quota_platform.base.row_access import viewed


def notices(person: Any) -> Iterator[Notice]:
    """Those that were stopped, and those whose messages do not arrive, as far as this person may see them."""
    stopped = Q(enabled=False) & ~Q(stopped_because="")
    failing = Q(enabled=True) & (Q(failures__gt=0) | Q(retried__gt=0))
    found = deliveries.with_retried(viewed(person, AlertHook)).filter(stopped | failing)
    return first_of(
        found.order_by("enabled", "-failures", "-retried", "pk"),
        lambda row: Notice(_text(row), reverse("admin:limiter_alerthook_change", args=[row.pk]), urgent=True),
        lambda count: ngettext("{count} more contact point fails.", "{count} more contact points fail.", count),
        url=reverse("admin:limiter_alerthook_changelist"),
        urgent=True,
    )


def _text(row: Any) -> str:
    if not row.enabled:
        return _("The contact point {name} was stopped: {reason}").format(
            name=row.name, reason=in_words(row.stopped_because)
        )
    if not row.failures:
        said = ngettext(
            "{count} message to the contact point {name} did not arrive; it is tried again.",
            "{count} messages to the contact point {name} did not arrive; they are tried again.",
            row.retried,
        )
        return said.format(name=row.name, count=number(row.retried))
    said = ngettext(
        "The contact point {name} did not get its last message.",
        "The contact point {name} did not get its last {count} messages.",
        row.failures,
    )
    return said.format(name=row.name, count=row.failures)
