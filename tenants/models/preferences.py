"""How a person reads the pages."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Preferences(models.Model):
    """Kept with the account, so that they follow their person to another browser. Nobody else sees or changes them."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="preferences"
    )
    language = models.CharField(max_length=16, blank=True, default="")
    time_zone = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        verbose_name_plural = "preferences"

    def __str__(self) -> str:
        return str(self.user)
