"""The outbox of edits that running workers read."""

from __future__ import annotations

from django.db import connections, models
from django.utils import timezone

_TURN = 7_261_102_834_001
"""Number of the PostgreSQL advisory lock that edits take in turn; any constant nobody else uses will do."""


class ChangeQuerySet(models.QuerySet["Change"]):
    """Rows of the outbox, and the turn an edit takes to write some."""

    def take_turn(self) -> None:
        """Wait until no other transaction is writing changes, and keep the others waiting until this one ends.

        Thus ids become visible in the order of their commits, and "id > last seen" misses none. Edits are rare, so
        that they queue costs little. SQLite has one writer at a time anyway.
        """
        connection = connections[self.db]
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_TURN])


class Change(models.Model):
    """The outbox of edits: one row per touched entity, written in the edit's own transaction.

    Workers read it to learn what to load again (:mod:`quota_platform.base.changes`); it holds no values.
    """

    topic = models.CharField(max_length=16)
    entity_id = models.BigIntegerField()
    at = models.DateTimeField(default=timezone.now, db_index=True)

    objects = ChangeQuerySet.as_manager()

    class Meta:
        app_label = "tenants"  # where its table has always been

    def __str__(self) -> str:
        return f"{self.topic}:{self.entity_id}@{self.pk}"
