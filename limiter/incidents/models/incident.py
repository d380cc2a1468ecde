"""Incidents: from a limit's first refusal of a tenant's call until it has refused none for a quarter of an hour."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models import Q

from limiter.demand.state import LATELY_S

QUIET = timedelta(seconds=LATELY_S)
"""Without a refusal for so long an incident is over: then the pages say no longer that a limit refused lately."""


class Incident(models.Model):
    """One limit that refused one tenant's calls: first at ``at``, last at ``last_at``.

    ``ended_at`` is ``QUIET`` after ``last_at``, and null until then. ``action_id`` is blank for a limit that does not
    count by action, ``limit_name`` for calls refused because the store was unavailable. ``effective_limit`` is the
    lowest that a call met, with the evidence of the cut; ``quota`` and the policy are those of the first refusal.
    ``by_key`` and ``by_action``: refusals by the key's prefix and by action. ``acknowledged_by`` has seen it for the
    whole team; ``owner`` works on it.
    """

    at = models.DateTimeField("first refusal")
    last_at = models.DateTimeField("last refusal")
    ended_at = models.DateTimeField("over since", null=True, blank=True)
    tenant_id = models.CharField("tenant ID", max_length=64)
    action_id = models.CharField("action ID", max_length=128, blank=True)
    limit_name = models.CharField("limit", max_length=32, blank=True)
    policy_name = models.CharField("policy", max_length=80, blank=True)
    policy_version = models.PositiveIntegerField()
    refusals = models.PositiveBigIntegerField(default=0)
    quota = models.BigIntegerField()
    effective_limit = models.BigIntegerField()
    p95_ms = models.FloatField("p95 (ms)", null=True, blank=True)
    p95_samples = models.PositiveIntegerField("samples of the p95", null=True, blank=True)
    threshold_ms = models.FloatField("p95 threshold (ms)", null=True, blank=True)
    by_key = models.JSONField(default=dict)
    by_action = models.JSONField(default=dict)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=150, blank=True, db_default="")
    owner = models.CharField(max_length=150, blank=True, db_default="")

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "action_id", "limit_name"],
                name="incident_open_once",
                condition=Q(ended_at__isnull=True),
            ),
        ]
        indexes = [
            models.Index(fields=["-at", "-id"], name="incident_newest"),
            models.Index(fields=["tenant_id", "-at", "-id"], name="incident_by_tenant"),
            models.Index(fields=["tenant_id", "last_at"], name="incident_by_last"),
            models.Index(fields=["last_at"], name="incident_lasts", condition=Q(ended_at__isnull=True)),
            models.Index(fields=["ended_at"], name="incident_by_end"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.action_id or '*'} {self.limit_name} {self.at:%Y-%m-%d %H:%M}"


class EventCursor(models.Model):
    """The newest throttle event that has been taken into an incident; there is one row."""

    last_event = models.PositiveBigIntegerField(default=0)
