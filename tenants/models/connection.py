"""One upstream account: its hosts, its credentials, its token."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from simple_history.models import HistoricalRecords

from tenants import hosts, secrets
from tenants.models.names import NAME

CXONE_SUFFIXES = "niceincontact.com, nice-incontact.com, nicecxone.com, nicecxone-gov.com, incontact.com"


class Connection(models.Model):
    """One upstream account: its hosts, its credentials, its token. Several tenants may share one."""

    class Preset(models.TextChoices):
        CXONE_WEBACTION = "cxone_webaction", "CXone web actions (client credentials)"

    class ClientAuth(models.TextChoices):
        BODY = "body", "in the form body"
        BASIC = "basic", "HTTP Basic"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=64, unique=True, validators=[NAME])
    preset = models.CharField(max_length=32, choices=Preset.choices, default=Preset.CXONE_WEBACTION)
    enabled = models.BooleanField(default=True, help_text="When off, calls are answered 503 and nothing is sent.")
    is_sandbox = models.BooleanField(
        "sandbox",
        default=False,
        help_text="Reaches only the addresses in the SANDBOX_HOSTS setting, over http.",
    )
    base_url = models.URLField(
        "base URL",
        max_length=255,
        help_text="Where actions are invoked, e.g. https://api-na1.niceincontact.com",
    )
    token_url = models.URLField(
        "token URL", max_length=255, blank=True, help_text="Blank: /oauth/token under the base URL."
    )
    client_auth = models.CharField(
        "client authentication", max_length=8, choices=ClientAuth.choices, default=ClientAuth.BODY
    )
    client_id = models.CharField("client ID", max_length=255)
    client_secret_sealed = models.TextField(blank=True, editable=False)
    scope = models.CharField(max_length=255, blank=True, default="webaction:execute", help_text="Blank: none is sent.")
    token_refresh_skew_s = models.PositiveIntegerField(
        "refresh token early (s)", default=30, validators=[MaxValueValidator(3600)]
    )
    connect_timeout_s = models.FloatField(
        "connect timeout (s)", default=3, validators=[MinValueValidator(0.1), MaxValueValidator(30)]
    )
    total_deadline_s = models.FloatField(
        "deadline of one call (s)", default=80, validators=[MinValueValidator(0.1), MaxValueValidator(300)]
    )
    max_response_bytes = models.PositiveIntegerField(
        "largest answer (bytes)",
        default=1_048_576,
        validators=[MinValueValidator(1), MaxValueValidator(2**30)],
    )
    allowed_host_suffixes = models.CharField(
        max_length=500,
        default=CXONE_SUFFIXES,
        help_text="Comma separated. Hosts outside are never contacted.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    history = HistoricalRecords(excluded_fields=["client_secret_sealed"])

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def secret_purpose(self) -> str:
        """What the client secret is sealed for; see :func:`tenants.secrets.seal`."""
        return f"connection:{self.uid}:client_secret"

    def set_client_secret(self, plain: str) -> None:
        """Seal and remember a new client secret; save() stores it."""
        self.client_secret_sealed = secrets.seal(plain, purpose=self.secret_purpose)

    def suffixes(self) -> list[str]:
        """The allowed host suffixes as a list of lower-case names without leading dots."""
        return [s.strip().lstrip(".").lower() for s in self.allowed_host_suffixes.split(",") if s.strip(" .")]

    def clean(self) -> None:
        errors: dict[str, str] = {}
        for field in ("base_url", "token_url"):
            url = getattr(self, field)
            if not url:
                continue
            try:
                hosts.check_url(url, suffixes=self.suffixes(), sandbox_hosts=self._sandbox_hosts())
            except hosts.HostRefused as error:
                errors[field] = str(error)
        if not self.suffixes():
            errors["allowed_host_suffixes"] = "Name at least one host suffix."
        if errors:
            raise ValidationError(errors)

    def _sandbox_hosts(self) -> list[str]:
        return (settings.ENV.SANDBOX_HOSTS or ["(none: SANDBOX_HOSTS is empty)"]) if self.is_sandbox else []
