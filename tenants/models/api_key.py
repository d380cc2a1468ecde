"""What a caller presents: stored as prefix and hash, shown once."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from quota_platform.base.models.published import Published
from tenants import credentials
from tenants.models.tenant import Tenant


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """Keys, and the one way to make them."""

    def issue(
        self, *, name: str, tenant: Tenant | None = None, created_by: str = "", **fields: Any
    ) -> tuple[ApiKey, str]:
        """Make a key and return its row and its token; the token is not stored and cannot be shown again."""
        made = credentials.make()
        key = ApiKey(name=name, tenant=tenant, prefix=made.prefix, digest=made.digest, created_by=created_by, **fields)
        key.full_clean()
        key.save()
        return key, made.token


class ApiKey(Published):
    """What a caller presents. Belongs to a tenant; a platform key belongs to none and acts for those listed."""

    class MaxClass(models.TextChoices):
        """The classes of shared limits, the first that is served on top."""

        CRITICAL = "critical", _("critical: as the limit gives it")
        NORMAL = "normal", _("normal")
        BULK = "bulk", _("bulk")

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="api_keys", null=True, blank=True)
    acts_for = models.ManyToManyField(
        Tenant,
        blank=True,
        related_name="platform_keys",
        help_text="Platform keys only: the tenants it may name in X-Tenant-Id.",
    )
    name = models.CharField(max_length=80, help_text="Its user, e.g. 'IVR production'.")
    prefix = models.CharField(max_length=credentials.PREFIX_LENGTH, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    created_by = models.CharField(max_length=150, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    max_class = models.CharField(
        "highest class",
        max_length=8,
        choices=MaxClass,
        default=MaxClass.CRITICAL,
        db_default=MaxClass.CRITICAL.value,
        help_text="Of its calls in shared limits: one that a limit puts in a higher class counts as of this one.",
    )

    history = HistoricalRecords(excluded_fields=["digest"])
    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API key"
        permissions = [("revoke_apikey", "Can revoke API key")]

    def __str__(self) -> str:
        return f"{self.name} (qk_{self.prefix}_…)"

    @property
    def is_platform(self) -> bool:
        return self.tenant_id is None

    def revoke(self) -> None:
        """Refuse every call with this key from now on. Revoking twice keeps the first time."""
        if self.revoked_at is None:
            self.revoked_at = timezone.now()
            self.save()
