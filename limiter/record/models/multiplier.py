"""Changes of adaptive multipliers, with what each was computed from."""

from __future__ import annotations

from django.db import models


class MultiplierChange(models.Model):
    """A change of the multiplier of a tenant's calls, or of one of its actions' (``action_id`` not blank)."""

    stream_id = models.CharField(max_length=64, unique=True)
    at = models.DateTimeField()
    tenant_id = models.CharField("tenant ID", max_length=64)
    action_id = models.CharField("action ID", max_length=128, blank=True)
    before = models.FloatField()
    after = models.FloatField()
    p95_ms = models.FloatField("p95 (ms)")
    """0: unknown, too few calls had a latency. Show :attr:`known_p95_ms`; the column is in a chain of hashes."""
    samples = models.PositiveIntegerField()
    threshold_ms = models.FloatField("p95 threshold (ms)")
    pushed_back = models.FloatField("share rejected upstream", default=0)

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["tenant_id", "-at", "-id"], name="multiplier_by_tenant")]

    @property
    def known_p95_ms(self) -> float | None:
        return self.p95_ms or None

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.before:g} → {self.after:g} {self.at:%Y-%m-%d %H:%M:%S}"
