"""The durable record of refusals."""

from __future__ import annotations

from django.db import models


class ThrottleEvent(models.Model):
    """The durable record of a refusal, or of what shadow mode would have refused."""

    stream_id = models.CharField(max_length=64, unique=True)
    at = models.DateTimeField(db_index=True)
    tenant_id = models.CharField("tenant ID", max_length=64)
    action_id = models.CharField("action ID", max_length=128)
    key_prefix = models.CharField(max_length=16)
    request_id = models.CharField("request ID", max_length=128)
    decision_id = models.CharField("decision ID", max_length=32, db_index=True)
    policy_name = models.CharField(max_length=80)
    policy_version = models.PositiveIntegerField()
    limit_name = models.CharField(max_length=32)
    used = models.BigIntegerField()
    quota = models.BigIntegerField()
    effective_limit = models.BigIntegerField()
    multiplier = models.FloatField()
    cost = models.PositiveIntegerField()
    retry_after_ms = models.FloatField(null=True)
    shadow = models.BooleanField(default=False)

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["tenant_id", "-at"], name="event_by_tenant")]

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.action_id} {self.limit_name} {self.at:%Y-%m-%d %H:%M:%S}"
