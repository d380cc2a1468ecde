"""The rows that say who may call what: connections, tenants, their actions and API keys."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from simple_history.models import HistoricalRecords

from tenants import credentials, hosts, secrets

NAME = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9._-]*\Z",
    "Use letters, digits, dot, dash and underscore, starting with a letter or digit.",
)
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


class ApiKey(models.Model):
    """What a caller presents. Belongs to a tenant; a platform key belongs to none and acts for those listed."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="api_keys", null=True, blank=True)
    acts_for = models.ManyToManyField(
        Tenant,
        blank=True,
        related_name="platform_keys",
        help_text="Platform keys only: the tenants it may name in X-Tenant-Id.",
    )
    name = models.CharField(max_length=80, help_text="Who or what uses it, e.g. 'IVR production'.")
    prefix = models.CharField(max_length=credentials.PREFIX_LENGTH, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    created_by = models.CharField(max_length=150, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    history = HistoricalRecords(excluded_fields=["digest"])
    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API key"

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


class Change(models.Model):
    """The outbox of edits: one row per touched entity, written in the edit's own transaction.

    Workers read it to learn what to load again (:mod:`tenants.changes`); it holds no values.
    """

    topic = models.CharField(max_length=16)
    entity_id = models.BigIntegerField()
    at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return f"{self.topic}:{self.entity_id}@{self.pk}"
