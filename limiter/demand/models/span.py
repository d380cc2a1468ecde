"""When demand was recorded, with calls or without."""

from __future__ import annotations

from django.db import models


class RecordedSpan(models.Model):
    """Some worker counted demand in every second from ``start`` until before ``end``."""

    start = models.DateTimeField()
    end = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-start"]
        constraints = [
            models.CheckConstraint(condition=models.Q(end__gt=models.F("start")), name="recordedspan_has_length")
        ]

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:%M:%S} to {self.end:%Y-%m-%d %H:%M:%S}"
