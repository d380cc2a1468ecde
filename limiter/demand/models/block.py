"""A block of demand: what one tenant's calls were, second by second, in a minute or an hour."""

from __future__ import annotations

from django.db import models

MINUTE_S, HOUR_S = 60, 3_600


class DemandBlock(models.Model):
    """The demand of ``seconds`` seconds from ``start`` on, in steps of ``step`` seconds.

    ``data``: :mod:`limiter.demand.packed`. An hour is one block as soon as it is over; minutes beside it are what came
    late, and add to it.
    """

    tenant_id = models.CharField("tenant ID", max_length=64)
    start = models.DateTimeField()
    seconds = models.PositiveIntegerField(default=MINUTE_S)
    step = models.PositiveSmallIntegerField("step (s)", default=1)
    data = models.BinaryField()

    class Meta:
        ordering = ["-start", "tenant_id"]
        constraints = [models.UniqueConstraint(fields=["tenant_id", "start", "seconds"], name="demandblock_once")]
        indexes = [models.Index(fields=["step", "seconds", "start"], name="demandblock_by_age")]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.start:%Y-%m-%d %H:%M} + {self.seconds} s"
