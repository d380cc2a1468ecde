"""Exports: the selection, the progress of the file, and its signed manifest."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from quota_platform.base.time_zones import UTC_NAME, zone_or_utc


def format_choices() -> list[tuple[str, Promise]]:
    """All that there are; a migration names this function."""
    return [(each.value, gettext_lazy(str(each.label))) for each in Export.Format]


class Export(models.Model):
    """One file made from the record. ``scope`` is what the person could see when asking; null is everything.

    ``claim`` names the delivery of the task that builds the file: only its holder may finish. ``due_at``: the moment of
    its schedule that it was ordered for, once; null for one that a person ordered.
    """

    class Kind(models.TextChoices):
        EVENTS = "events", "refusals"
        USAGE = "usage", "usage"
        CHANGES = "changes", "policy changes"
        SUMMARY = "summary", "summary"

    class Format(models.TextChoices):
        CSV = "csv.gz", "CSV, compressed"
        JSONL = "jsonl", "JSON Lines"
        XLSX = "xlsx", "Excel workbook"
        PDF = "pdf", "PDF with charts"

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        BUILDING = "building", "building"
        DONE = "done", "done"
        CANCELLED = "cancelled", "cancelled"
        FAILED = "failed", "failed"
        EXPIRED = "expired", "expired"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    format = models.CharField(max_length=8, choices=format_choices)
    since = models.DateTimeField(help_text="From this time on.")
    until = models.DateTimeField(help_text="Before this time.")
    tenants = models.JSONField(default=list, blank=True)
    actions = models.JSONField(default=list, blank=True)
    policies = models.JSONField(default=list, blank=True)
    time_zone = models.CharField(
        max_length=64,
        default=UTC_NAME,
        db_default=UTC_NAME,
        help_text="Of the times in the file, for example Europe/Berlin.",
    )
    scope = models.JSONField(null=True, blank=True, editable=False)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, editable=False, related_name="+"
    )
    requested_name = models.CharField("requested by", max_length=150, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    schedule = models.ForeignKey(
        "limiter.ReportSchedule", null=True, on_delete=models.SET_NULL, editable=False, related_name="exports"
    )
    due_at = models.DateTimeField(null=True, editable=False)
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING, editable=False)
    cancel_asked = models.BooleanField(default=False, editable=False)
    claim = models.CharField(max_length=32, blank=True, editable=False)
    alive_at = models.DateTimeField(null=True, editable=False)
    rows = models.PositiveBigIntegerField("rows so far", default=0, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    expires_at = models.DateTimeField(null=True, editable=False)
    stored_as = models.CharField(max_length=200, blank=True, editable=False)
    manifest = models.JSONField(default=dict, blank=True, editable=False)
    error = models.CharField(max_length=200, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["state", "created_at"], name="export_by_state")]
        constraints = [
            models.UniqueConstraint(fields=["schedule", "due_at"], name="export_once_a_period"),
            models.CheckConstraint(condition=models.Q(since__lt=models.F("until")), name="export_ends_after_start"),
        ]

    def __str__(self) -> str:
        since, until = self._ends()
        where = "" if self.time_zone == UTC_NAME else f" ({self.time_zone})"
        return f"{self.kind} {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}{where}"

    @property
    def file_name(self) -> str:
        since, until = self._ends()
        where = "" if self.time_zone == UTC_NAME else f"-{self.time_zone.replace('/', '-')}"
        return f"{self.kind}-{since:%Y%m%dT%H%M}-{until:%Y%m%dT%H%M}{where}.{self.format}"

    def _ends(self) -> tuple[datetime, datetime]:
        """Since and until in its time zone."""
        where = zone_or_utc(self.time_zone)
        return self.since.astimezone(where), self.until.astimezone(where)
