"""The permissions that the platform has granted to its groups; one that an administrator removed stays removed."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class Granted(models.Model):
    """A permission (``app.codename``) that was given once to the group of this name."""

    group = models.CharField(max_length=150)
    permission = models.CharField(max_length=200)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        app_label = "tenants"  # where its table has always been
        constraints = [models.UniqueConstraint(fields=["group", "permission"], name="granted_once")]

    def __str__(self) -> str:
        return f"{self.group}: {self.permission}"
