"""The durable record of refusals."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from limiter.core import decision_ids

LISTED_FIELDS = (
    "at",
    "first_at",
    "count",
    "tenant_id",
    "action_id",
    "key_prefix",
    "request_id",
    "decision_id",
    "policy_name",
    "policy_version",
    "limit_name",
    "used",
    "quota",
    "effective_limit",
    "multiplier",
    "cost",
    "retry_after_ms",
    "shadow",
)
"""The fields of an event in lists and exports, in their order."""


ALONE = "/alone/"
"""Stands in the stream id of an event that one worker decided without the store."""


UPSTREAM = decision_ids.UPSTREAM
"""Stands in the place of a limit's name where the upstream took no calls (``decide.lua``)."""


class ThrottleEvent(models.Model):
    """The durable record of a refusal, or of what shadow mode would have refused.

    Under a flood of one kind a row stands for ``count`` refusals: ``at`` is the last of them and tells its numbers,
    ``first_at`` is a time before which none of them was. ``position`` and ``hash`` chain a tenant's events
    (:mod:`limiter.record.chain`); ``format`` says what the hash covers (:mod:`limiter.record.formats`).
    """

    stream_id = models.CharField(max_length=64)
    at = models.DateTimeField()
    first_at = models.DateTimeField("not before", null=True, blank=True)
    count = models.PositiveBigIntegerField("refusals", default=1)
    tenant_id = models.CharField("tenant ID", max_length=64)
    action_id = models.CharField("action ID", max_length=128)
    key_prefix = models.CharField(max_length=16)
    request_id = models.CharField("request ID", max_length=128)
    decision_id = models.CharField("decision ID", max_length=32)
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
    limits = models.JSONField("limits in force", default=list, blank=True)
    p95_ms = models.FloatField("p95 behind the multiplier (ms)", null=True, blank=True)
    p95_samples = models.PositiveIntegerField("samples of the p95", null=True, blank=True)
    threshold_ms = models.FloatField("p95 threshold (ms)", null=True, blank=True)
    position = models.PositiveBigIntegerField(null=True, editable=False)
    hash = models.CharField(max_length=64, blank=True, editable=False)
    format = models.SmallIntegerField(default=1, db_default=1, editable=False)

    class Meta:
        ordering = ["-at", "-id"]
        verbose_name = "refusal"
        constraints = [
            # Not unique=True, nor db_index=True below: on PostgreSQL these add a second index for LIKE.
            models.UniqueConstraint(fields=["stream_id"], name="event_stored_once"),
            models.UniqueConstraint(
                fields=["tenant_id", "position"], name="event_position_once", condition=Q(position__isnull=False)
            ),
        ]
        indexes = [
            models.Index(fields=["-at", "-id"], name="event_newest"),
            models.Index(fields=["tenant_id", "-at", "-id"], name="event_by_tenant"),
            models.Index(fields=["tenant_id", "action_id", "-at", "-id"], name="event_by_action"),
            models.Index(fields=["policy_name", "-at", "-id"], name="event_by_policy"),
            models.Index(fields=["limit_name", "-at", "-id"], name="event_by_limit"),
            models.Index(fields=["-at", "-id"], name="event_shadow", condition=Q(shadow=True)),
            models.Index(fields=["key_prefix", "-at", "-id"], name="event_by_key"),
            models.Index(fields=["decision_id"], name="event_by_decision"),
            models.Index(fields=["request_id"], name="event_by_request"),
        ]

    @property
    def alone(self) -> bool:
        """Whether one worker decided it by itself, because the store was unavailable."""
        return ALONE in self.stream_id

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.action_id} {self.limit_name} {self.at:%Y-%m-%d %H:%M:%S}"
