"""Where a person may look and act: the tenants they belong to."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from simple_history.models import HistoricalRecords

from quota_platform.base.reason import MAX_REASON
from tenants.models.tenant import Tenant


class Membership(models.Model):
    """Binds a person to a tenant. A permission says what a person may do, a membership where.

    It is read anew whenever it is asked for (:mod:`tenants.scope`), so no worker holds a copy.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships", verbose_name="person"
    )
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="memberships")
    reason = models.CharField(
        max_length=MAX_REASON, blank=True, help_text="Why; goes into the record, e.g. a ticket number."
    )
    added_by = models.CharField(max_length=150, blank=True, editable=False)
    added_at = models.DateTimeField(default=timezone.now, editable=False)

    history = HistoricalRecords()

    class Meta:
        ordering = ["tenant__tenant_id", "user__username"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "tenant"],
                name="membership_once",
                violation_error_message="This person belongs to this tenant already.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} in {self.tenant}"

    @property
    def name(self) -> str:
        """The person's, as the record tells it."""
        return str(self.user.get_username())
