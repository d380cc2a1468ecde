"""Counts and latencies per tenant and action: by the minute, the hour and the day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import models
from django.utils import timezone

COUNTERS = (
    "allowed",
    "refused",
    "shadow_refused",
    "cost",
    "answered",
    "upstream_error",
    "upstream_busy",
    "unreachable",
    "unknown",
    "not_sent",
    "checked",
    "latency_us_sum",
    "given_back",
    "held_back",
    "waited",
    "returned",
    "kept",
)
"""The fields of a usage row that are sums."""


class Usage(models.Model):
    """What one tenant did with one action in the span that begins at ``start``.

    ``cost``: units charged; ``given_back``: those of them whose calls certainly did not run;
    ``held_back``: calls that the upstream would have turned away; ``waited``: calls among the allowed ones that waited
    for their turn; ``returned``: calls that came back at the time of their Retry-After, ``kept``: those of them that
    were admitted. ``latency_histogram``:
    bucket of :mod:`limiter.core.latency`, as text, -> calls.
    """

    tenant_id = models.CharField("tenant ID", max_length=64)
    action_id = models.CharField("action ID", max_length=128)
    start = models.DateTimeField()
    allowed = models.PositiveBigIntegerField(default=0)
    refused = models.PositiveBigIntegerField(default=0)
    shadow_refused = models.PositiveBigIntegerField(default=0)
    cost = models.PositiveBigIntegerField(default=0)
    given_back = models.PositiveBigIntegerField(default=0, db_default=0)
    held_back = models.PositiveBigIntegerField(default=0, db_default=0)
    waited = models.PositiveBigIntegerField(default=0, db_default=0)
    returned = models.PositiveBigIntegerField(default=0, db_default=0)
    kept = models.PositiveBigIntegerField(default=0, db_default=0)
    answered = models.PositiveBigIntegerField(default=0)
    upstream_error = models.PositiveBigIntegerField(default=0)
    upstream_busy = models.PositiveBigIntegerField(default=0)
    unreachable = models.PositiveBigIntegerField(default=0)
    unknown = models.PositiveBigIntegerField(default=0)
    not_sent = models.PositiveBigIntegerField(default=0)
    checked = models.PositiveBigIntegerField(default=0)
    latency_us_sum = models.PositiveBigIntegerField(default=0)
    latency_histogram = models.JSONField(default=dict)

    class Meta:
        abstract = True
        ordering = ["-start", "tenant_id", "action_id"]
        constraints = [models.UniqueConstraint(fields=["tenant_id", "action_id", "start"], name="%(class)s_once")]
        indexes = [models.Index(fields=["start"], name="%(class)s_by_start")]

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.action_id} {self.start:%Y-%m-%d %H:%M}"


class UsageMinute(Usage):
    """Usage of one minute."""


class UsageHour(Usage):
    """Usage of one hour (UTC)."""


class UsageDay(Usage):
    """Usage of one day (UTC)."""


LEVELS: tuple[tuple[type[Usage], timedelta], ...] = (
    (UsageMinute, timedelta(minutes=1)),
    (UsageHour, timedelta(hours=1)),
    (UsageDay, timedelta(days=1)),
)
"""Each level with the span of its rows, the finest first."""


def span_start(moment: datetime, span: timedelta) -> datetime:
    """When the span (UTC) began that the moment lies in."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (moment - epoch) // span * span


class UsageBatch(models.Model):
    """A batch of counts that was moved from the store: written with the counts, so that none is added twice."""

    batch = models.CharField(max_length=64, unique=True)
    at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return self.batch
