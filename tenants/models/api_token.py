"""What a person or program presents to the management API: stored as a hash, shown once."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from simple_history.models import HistoricalRecords

from tenants import credentials

HINT_LENGTH = 8
MAX_DAYS = 366
USE_NOTED_EVERY = timedelta(minutes=5)


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    """Tokens, and the one way to make them."""

    def issue(self, *, user: Any, name: str, created_by: str = "", **fields: Any) -> tuple[ApiToken, str]:
        """Make a token and return its row and the token itself, which is not stored and cannot be shown again."""
        secret = f"qt_{secrets.token_urlsafe(32)}"
        row = ApiToken(user=user, name=name, created_by=created_by, **fields)
        row.hint, row.digest = secret[:HINT_LENGTH], credentials.digest(secret)
        row.full_clean()
        row.save()
        return row, secret

    def presented(self, secret: str) -> ApiToken | None:
        """The row of this token, whether or not it is still valid."""
        return self.select_related("user").filter(digest=credentials.digest(secret)).first()

    def note_use(self, row: ApiToken, now: datetime) -> None:
        """Keep when the token was used, at most once in :data:`USE_NOTED_EVERY`; no edit, so without a history."""
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - USE_NOTED_EVERY)
        if row.last_used_at is None or row.last_used_at < now - USE_NOTED_EVERY:
            self.filter(stale, pk=row.pk).update(last_used_at=now)


class ApiToken(models.Model):
    """A token of a person, or of the account of a program. It may do what its owner may, or only read it."""

    class Scope(models.TextChoices):
        ALL = "all", "everything its owner may do"
        READ = "read", "only read"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens", verbose_name="owner"
    )
    name = models.CharField(max_length=80, help_text="Who or what uses it, e.g. 'nightly report'.")
    scope = models.CharField(max_length=8, choices=Scope.choices, default=Scope.ALL)
    hint = models.CharField("begins with", max_length=HINT_LENGTH, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_by = models.CharField(max_length=150, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField("last used", null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    history = HistoricalRecords(excluded_fields=["digest", "last_used_at"])
    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"

    @property
    def has_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    def revoke(self) -> None:
        """Refuse every request with this token from now on. Revoking twice keeps the first time."""
        if self.revoked_at is None:
            self.revoked_at = timezone.now()
            self.save()
