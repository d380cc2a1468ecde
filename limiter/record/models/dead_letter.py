"""Entries of the store's streams that could not be written to the record."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class DeadLetter(models.Model):
    """An entry that failed every time it was tried, kept as it was for a person to look at."""

    stream_id = models.CharField(max_length=64, unique=True)
    stream = models.CharField(max_length=64)
    fields = models.JSONField()
    error = models.CharField(max_length=500)
    deliveries = models.PositiveIntegerField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return self.stream_id
