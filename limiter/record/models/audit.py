"""The chained record of actions: edits, sign-ins, overrides' starts and ends, and batches of events."""

from __future__ import annotations

from django.db import models


class AuditEntry(models.Model):
    """One entry of a tenant's chain; ``tenant_id`` "" is the platform's own.

    ``hash`` covers what the entry's ``format`` lists (:mod:`limiter.record.formats`), ``previous_hash`` among it; an
    entry of a release that knows no formats is of the first. ``once`` names a thing that must not be entered twice.
    """

    tenant_id = models.CharField("tenant ID", max_length=64, blank=True)
    position = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=32)
    at = models.DateTimeField()
    actor = models.CharField(max_length=150, blank=True)
    payload = models.JSONField(default=dict)
    once = models.CharField(max_length=128, null=True, unique=True, editable=False)
    previous_hash = models.CharField(max_length=64, blank=True)
    hash = models.CharField(max_length=64)
    format = models.SmallIntegerField(default=1, db_default=1, editable=False)

    class Meta:
        ordering = ["-at", "-id"]
        verbose_name_plural = "audit entries"
        constraints = [models.UniqueConstraint(fields=["tenant_id", "position"], name="audit_position_once")]
        indexes = [
            models.Index(fields=["-at", "-id"], name="audit_newest"),
            models.Index(fields=["tenant_id", "-at", "-id"], name="audit_by_tenant"),
            models.Index(fields=["kind", "-at", "-id"], name="audit_by_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id or 'platform'} #{self.position} {self.kind}"
