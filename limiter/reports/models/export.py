"""Exports: the selection, the progress of the file, and its signed manifest."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy


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
        return f"{self.kind} {self.since:%Y-%m-%d %H:%M} to {self.until:%Y-%m-%d %H:%M}"

    @property
    def file_name(self) -> str:
        return f"{self.kind}-{self.since:%Y%m%dT%H%M}-{self.until:%Y%m%dT%H%M}.{self.format}"
