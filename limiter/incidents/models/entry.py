"""What people did about a limit that refused or nearly did, for their team to read."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from limiter.incidents.models.incident import Incident

MAX_TEXT = 1_000


class TeamEntry(models.Model):
    """One act of a person; written once. ``until``: of a mute. ``to``: who has the incident from then on."""

    class Kind(models.TextChoices):
        ACKNOWLEDGED = "acknowledged", "acknowledged"
        MUTED = "muted", "muted"
        UNMUTED = "unmuted", "unmuted"
        NOTE = "note", "note"
        ASSIGNED = "assigned", "assigned"
        HANDED_OVER = "handed_over", "handed over"

    at = models.DateTimeField(default=timezone.now)
    by = models.CharField(max_length=150)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    tenant_id = models.CharField("tenant ID", max_length=64)
    action_id = models.CharField("action ID", max_length=128, blank=True)
    limit_name = models.CharField("limit", max_length=32, blank=True)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, null=True, related_name="entries")
    text = models.CharField(max_length=MAX_TEXT, blank=True)
    until = models.DateTimeField(null=True, blank=True)
    to = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["-at", "-id"]
        verbose_name_plural = "team entries"
        indexes = [
            models.Index(fields=["-at", "-id"], name="team_entry_newest"),
            models.Index(fields=["tenant_id", "-at", "-id"], name="team_entry_by_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.action_id or '*'} {self.limit_name} {self.kind} {self.at:%Y-%m-%d %H:%M}"
