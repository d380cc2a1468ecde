"""Where the record is known to be incomplete."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _


class RecordGap(models.Model):
    """Entries that the store dropped before they were written to the record.

    They were made after ``after`` and before ``before``, as far as that is known. ``total``: all that this stream has
    lost in this ``generation`` (from one making of the stream to the next).
    """

    stream = models.CharField(max_length=64)
    generation = models.CharField(max_length=32)
    lost = models.PositiveBigIntegerField()
    total = models.PositiveBigIntegerField()
    after = models.DateTimeField(null=True)
    before = models.DateTimeField(null=True)
    noticed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-noticed_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["stream", "generation", "total"], name="gap_noted_once")]

    def __str__(self) -> str:
        return _("{lost} lost from {stream}").format(lost=self.lost, stream=self.stream)
