"""The memory of events: each is reported once, and one that comes and goes is reported as one."""

from __future__ import annotations

from django.db import models

from quota_platform.base.events import MAX_NAME

MAX_KEY = 100


class EventMark(models.Model):
    """Until when events of a type were looked for; none while no contact point wants them."""

    type = models.CharField(max_length=MAX_NAME, unique=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.type} {self.at:%Y-%m-%d %H:%M:%S}"


class OpenEvent(models.Model):
    """One that lasts: seen first at ``at``, last at ``last_at``. ``notified``: its start was put for contact points."""

    type = models.CharField(max_length=MAX_NAME)
    key = models.CharField(max_length=MAX_KEY)
    at = models.DateTimeField()
    last_at = models.DateTimeField()
    notified = models.BooleanField(default=False)
    data = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["type", "key"], name="open_event_once")]

    def __str__(self) -> str:
        return f"{self.type} {self.key} {self.at:%Y-%m-%d %H:%M:%S}"
