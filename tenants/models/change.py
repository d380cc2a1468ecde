"""The outbox of edits that running workers read."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class Change(models.Model):
    """The outbox of edits: one row per touched entity, written in the edit's own transaction.

    Workers read it to learn what to load again (:mod:`tenants.changes`); it holds no values.
    """

    topic = models.CharField(max_length=16)
    entity_id = models.BigIntegerField()
    at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return f"{self.topic}:{self.entity_id}@{self.pk}"
