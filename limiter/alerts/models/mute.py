"""Mutes: limits whose alerts are not sent for a while."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class Mute(models.Model):
    """No start of an alert of this limit is sent until ``until``. ``action_id``: as in an alert."""

    tenant_id = models.CharField("tenant ID", max_length=64)
    action_id = models.CharField("action ID", max_length=128, blank=True)
    limit_name = models.CharField("limit", max_length=32)
    until = models.DateTimeField()
    by = models.CharField(max_length=150)
    at = models.DateTimeField("since", default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "action_id", "limit_name"], name="mute_once"),
        ]
        indexes = [models.Index(fields=["until"], name="mute_by_end")]

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.action_id or '*'} {self.limit_name} {self.until:%Y-%m-%d %H:%M}"
