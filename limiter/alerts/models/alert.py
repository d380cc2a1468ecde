"""Alerts: how long a limit was used to one of its policy's thresholds or beyond."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class Alert(models.Model):
    """One limit of one tenant, at or above one threshold from ``at`` until ``ended_at`` (null while it lasts).

    ``action_id`` is blank for a limit that counts all actions together. The numbers are those of the start;
    ``full_in_s`` is in how long it would have been full at the pace of that moment, null when it would not, or nobody
    can tell. ``muted``: it started while its limit was muted, so its start was not sent then. ``acknowledged_by`` has
    seen it for the whole team.
    """

    class Ending(models.TextChoices):
        FELL = "fell", "used less again"
        GONE = "gone", "no longer watched"

    at = models.DateTimeField("since")
    ended_at = models.DateTimeField("until", null=True, blank=True)
    ending = models.CharField("why it ended", max_length=8, choices=Ending.choices, blank=True)
    tenant_id = models.CharField("tenant ID", max_length=64)
    action_id = models.CharField("action ID", max_length=128, blank=True)
    limit_name = models.CharField("limit", max_length=32)
    policy_name = models.CharField("policy", max_length=80)
    policy_version = models.PositiveIntegerField()
    threshold = models.PositiveSmallIntegerField("threshold (%)")
    used = models.BigIntegerField()
    effective_limit = models.BigIntegerField()
    full_in_s = models.FloatField("full in (s)", null=True, blank=True)
    shadow = models.BooleanField(default=False)
    muted = models.BooleanField(default=False, db_default=False)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=150, blank=True, db_default="")

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "action_id", "limit_name", "threshold"],
                name="alert_open_once",
                condition=Q(ended_at__isnull=True),
            ),
        ]
        indexes = [
            models.Index(fields=["-at", "-id"], name="alert_newest"),
            models.Index(fields=["tenant_id", "-at", "-id"], name="alert_by_tenant"),
            models.Index(fields=["ended_at"], name="alert_by_end"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.action_id or '*'} {self.limit_name} {self.threshold} % {self.at:%Y-%m-%d %H:%M}"
