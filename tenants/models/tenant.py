"""A customer of the platform and the actions it may invoke."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from simple_history.models import HistoricalRecords

from tenants.models.connection import Connection
from tenants.models.names import NAME


class Tenant(models.Model):
    """A customer of the platform; what the X-Tenant-Id header names."""

    class Status(models.TextChoices):
        ACTIVE = "active", "active"
        SUSPENDED = "suspended", "suspended"

    tenant_id = models.CharField("tenant ID", max_length=64, unique=True, validators=[NAME])
    name = models.CharField(max_length=120)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTIVE)
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="tenants")
    envelope = models.BooleanField(
        "answer envelope",
        default=False,
        help_text="Wrap answers as {status, data, latency_ms, adaptive_multiplier}.",
    )
    accept_unlisted_actions = models.BooleanField(
        default=False, help_text="Invoke action IDs that are not registered here, with default settings."
    )
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    history = HistoricalRecords()

    class Meta:
        ordering = ["tenant_id"]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=["active", "suspended"]), name="tenant_status_known")
        ]

    def __str__(self) -> str:
        return self.tenant_id


class Action(models.Model):
    """A named thing a tenant may invoke; maps ``action_id`` to a real upstream call."""

    class Kind(models.TextChoices):
        WEBACTION = "webaction", "web action: POST /webactions/{action_id}/invoke"

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="actions")
    action_id = models.CharField("action ID", max_length=128, validators=[NAME])
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.WEBACTION)
    enabled = models.BooleanField(default=True)
    cost = models.PositiveIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text="Units one call takes.",
    )
    timeout_ms = models.PositiveIntegerField(
        "timeout (ms)", default=30_000, validators=[MinValueValidator(10), MaxValueValidator(300_000)]
    )
    idempotent = models.BooleanField(default=False, help_text="A call whose outcome is unknown may be repeated.")
    description = models.CharField(max_length=255, blank=True)

    history = HistoricalRecords()

    class Meta:
        ordering = ["tenant__tenant_id", "action_id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "action_id"],
                name="action_unique_per_tenant",
                violation_error_message="This tenant has an action with this ID already.",
            ),
            models.CheckConstraint(condition=Q(cost__gte=1, cost__lte=1000), name="action_cost_in_range"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant.tenant_id}/{self.action_id}"
