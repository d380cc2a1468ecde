"""One upstream account: its hosts, its credentials, its token."""

from __future__ import annotations

import uuid

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy
from simple_history.models import HistoricalRecords

from quota_platform.base import row_faults, secrets
from quota_platform.base.models.published import Published
from tenants import presets
from tenants.models import connection_rules
from tenants.models.names import NAME

_AREA = RegexValidator(r"\A[a-z]{2}[0-9]{1,2}\Z", "Write an area such as na1, eu1 or au1.")
_VERSION = RegexValidator(r"\Av[0-9]{1,3}\.[0-9]{1,2}\Z", "Write a version such as v30.0.")


def preset_choices() -> list[tuple[str, Promise]]:
    """All that there are; a migration names this function."""
    return [(key, gettext_lazy(preset.label)) for key, preset in presets.PRESETS.items()]


class Connection(Published):
    """One upstream account: its hosts, its credentials, its token. Several tenants may share one.

    A blank field takes what the preset says (:mod:`tenants.presets`); fields that do not apply to the preset are kept
    but not used.
    """

    class ClientAuth(models.TextChoices):
        BODY = "body", "in the form body"
        BASIC = "basic", "HTTP Basic"
        NONE = "none", "none"

    class GrantType(models.TextChoices):
        CLIENT_CREDENTIALS = "client_credentials", "client credentials"
        PASSWORD = "password", "password (an access key)"
        ACCESS_KEY = "access_key", "access key as JSON"

    class TokenBody(models.TextChoices):
        FORM = "form", "form"
        JSON = "json", "JSON"

    class Pace(models.TextChoices):
        OFF = "off", "not held"
        LEARN = "learn", "learned from pushback"
        FIXED = "fixed", "fixed"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=64, unique=True, validators=[NAME])
    preset = models.CharField(
        max_length=32,
        choices=preset_choices,
        default=presets.DEFAULT_PRESET,
    )
    enabled = models.BooleanField(default=True, help_text="When off, calls get a 503 and nothing is sent.")
    is_sandbox = models.BooleanField(
        "sandbox",
        default=False,
        help_text="Reaches only the addresses in the SANDBOX_HOSTS setting, over http.",
    )
    base_url = models.URLField(
        "base URL",
        max_length=255,
        blank=True,
        help_text="The host that actions call, e.g. https://api-na1.niceincontact.com."
        " Blank for a CXone business unit: discovered from CXone.",
    )
    token_url = models.URLField(
        "token URL",
        max_length=255,
        blank=True,
        help_text="Blank: the preset's; for a CXone business unit discovered from CXone.",
    )
    issuer_url = models.URLField(
        "issuer URL",
        max_length=255,
        blank=True,
        help_text="Where CXone describes itself. Blank: https://cxone.niceincontact.com",
    )
    area = models.CharField(
        max_length=8, blank=True, validators=[_AREA], help_text="CXone area, e.g. na1. Blank: discovered from CXone."
    )
    cxone_tenant_id = models.UUIDField(
        "CXone tenant ID", null=True, blank=True, help_text="Blank: the one named in the token."
    )
    api_version = models.CharField(
        "API version",
        max_length=8,
        blank=True,
        validators=[_VERSION],
        help_text=f"Blank: {presets.DEFAULT_API_VERSION}",
    )
    grant_type = models.CharField(
        max_length=32, choices=GrantType.choices, blank=True, help_text="Blank: the preset's."
    )
    client_auth = models.CharField(
        "client authentication", max_length=8, choices=ClientAuth.choices, blank=True, help_text="Blank: the preset's."
    )
    basic_urlencode = models.BooleanField(
        "percent-encode Basic credentials",
        default=False,
        help_text="RFC 6749 2.3.1 requires this; CXone's clients send them raw.",
    )
    token_body = models.CharField(
        "token request body", max_length=8, choices=TokenBody.choices, blank=True, help_text="Blank: form."
    )
    client_id = models.CharField("client ID", max_length=255, blank=True)
    client_secret_sealed = models.TextField(blank=True, editable=False)
    access_key_id = models.CharField("access key ID", max_length=255, blank=True)
    access_key_secret_sealed = models.TextField(blank=True, editable=False)
    scope = models.CharField(
        max_length=255, blank=True, help_text="Blank: the preset's (webaction:execute for web actions). - sends none."
    )
    token_extra_params = models.JSONField(
        "more token parameters",
        default=dict,
        blank=True,
        help_text='Sent with the token request, e.g. {"audience": "https://api.example.com"}. No secrets here.',
    )
    token_refresh_skew_s = models.PositiveIntegerField(
        "refresh token early (s)",
        null=True,
        blank=True,
        validators=[MaxValueValidator(3600)],
        help_text="Blank: 30 for web actions, 300 otherwise; never more than 20 % of the token's life.",
    )
    connect_timeout_s = models.FloatField(
        "connect timeout (s)", default=3, validators=[MinValueValidator(0.1), MaxValueValidator(30)]
    )
    total_deadline_s = models.FloatField(
        "deadline of one call (s)",
        default=80,
        validators=[MinValueValidator(0.1), MaxValueValidator(300)],
        help_text="Repeats included. Studio gives up after 90.",
    )
    max_response_bytes = models.PositiveIntegerField(
        "max response size (bytes)",
        default=1_048_576,
        validators=[MinValueValidator(1), MaxValueValidator(2**30)],
    )
    max_retries = models.PositiveSmallIntegerField(
        "max retries",
        default=3,
        validators=[MaxValueValidator(10)],
        help_text="Of a call that the upstream refused for load, or that surely did not run.",
    )
    breaker_failure_percent = models.PositiveSmallIntegerField(
        "breaker opens at (% failed)", default=20, validators=[MaxValueValidator(100)], help_text="0: no breaker."
    )
    breaker_min_calls = models.PositiveIntegerField(
        "breaker needs (calls)", default=20, validators=[MinValueValidator(1), MaxValueValidator(100_000)]
    )
    breaker_window_s = models.FloatField(
        "breaker looks back (s)", default=10, validators=[MinValueValidator(1), MaxValueValidator(600)]
    )
    breaker_cooldown_s = models.FloatField(
        "breaker stays open (s)", default=10, validators=[MinValueValidator(0.1), MaxValueValidator(600)]
    )
    pause_on_pushback = models.BooleanField(
        "pause when the upstream is overloaded",
        default=True,
        db_default=True,
        help_text="A 429, or a 503 with a Retry-After, holds back every call of this connection until that time has"
        " passed. Switch this off for upstreams whose 429 concerns one caller alone.",
    )
    max_pause_s = models.PositiveIntegerField(
        "longest pause (s)",
        default=900,
        db_default=900,
        validators=[MinValueValidator(1), MaxValueValidator(86_400)],
        help_text="An upper bound: after it, one call finds out whether the pause still has to last.",
    )
    learns_in_flight = models.BooleanField(
        "learn how many in flight",
        default=False,
        db_default=False,
        help_text="While the upstream is slow, lets fewer calls of all tenants be in flight at once, if that makes it"
        " faster; docs/adaptive.md.",
    )
    slow_above_ms = models.PositiveIntegerField(
        "slow above (p95, ms)",
        default=800,
        db_default=800,
        validators=[MinValueValidator(1), MaxValueValidator(600_000)],
    )
    min_in_flight = models.PositiveIntegerField(
        "in flight at least", default=1, db_default=1, validators=[MinValueValidator(1), MaxValueValidator(10_000)]
    )
    max_in_flight = models.PositiveIntegerField(
        "in flight at most",
        default=100,
        db_default=100,
        validators=[MinValueValidator(1), MaxValueValidator(10_000)],
        help_text="Of all tenants, also while the upstream is fast.",
    )
    pace = models.CharField(
        max_length=8,
        choices=Pace.choices,
        default=Pace.OFF.value,
        db_default=Pace.OFF.value,
        help_text="Holds calls just below what the upstream takes. Learned: for upstreams that publish no limit, from"
        " the second pushback within two minutes on.",
    )
    pace_per_minute = models.PositiveIntegerField(
        "calls a minute",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text="Of a fixed pace.",
    )
    shared = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Calls in flight, where they are learned, and the pace are divided fairly among the tenants of this"
        " connection; idle units are lent. Otherwise they are first come, first served.",
    )
    shared_like = models.CharField(
        "shared like the limit",
        max_length=32,
        blank=True,
        default="",
        db_default="",
        help_text="The name of a shared limit: its weights, classes, floors and ceilings count here too, the last two"
        " as parts of the whole. Blank: all tenants alike.",
    )
    dedupe = models.BooleanField(
        "de-duplicate",
        default=False,
        help_text="A repeat with the same tenant, action and body gets the first response, also without an"
        " Idempotency-Key. For callers that retry by themselves, as Studio does.",
    )
    dedupe_ttl_s = models.PositiveIntegerField(
        "keep responses (s)", default=120, validators=[MinValueValidator(1), MaxValueValidator(86_400)]
    )
    probe_path = models.CharField(
        "test path",
        max_length=255,
        blank=True,
        help_text="A GET that changes nothing, for the connection test. Blank: the preset's.",
    )
    allowed_host_suffixes = models.CharField(
        max_length=500,
        blank=True,
        help_text="Comma separated. Hosts outside are never contacted. Blank: the preset's.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    history = HistoricalRecords(excluded_fields=["client_secret_sealed", "access_key_secret_sealed"])

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(preset__in=[name for name, preset in presets.PRESETS.items() if preset.issuer_url])
                | ~Q(base_url=""),
                name="connection_base_url_given",
                violation_error_message="Enter the base URL; it can be discovered only for a CXone business unit.",
            ),
            models.CheckConstraint(
                condition=Q(max_retries__lte=10, breaker_failure_percent__lte=100, dedupe_ttl_s__gte=1),
                name="connection_numbers_in_range",
                violation_error_message="At most 10 retries, at most 100 %, responses kept for at least 1 s.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def sealed_for(self, name: str) -> str:
        """What the secret of this name is sealed for; see :func:`quota_platform.base.secrets.seal`."""
        return f"connection:{self.uid}:{name}"

    def set_client_secret(self, plain: str) -> None:
        """Seal and remember a new client secret; save() stores it."""
        self.client_secret_sealed = secrets.seal(plain, purpose=self.sealed_for("client_secret"))

    def set_access_key_secret(self, plain: str) -> None:
        """Seal and remember a new access key secret; save() stores it."""
        self.access_key_secret_sealed = secrets.seal(plain, purpose=self.sealed_for("access_key_secret"))

    def suffixes(self) -> list[str]:
        """The allowed host suffixes as a list of lower-case names without leading dots."""
        named = [s.strip().lstrip(".").lower() for s in self.allowed_host_suffixes.split(",") if s.strip(" .")]
        return named or list(presets.PRESETS[self.preset].suffixes)

    def clean(self) -> None:
        errors = connection_rules.faults(self) if self.preset in presets.PRESETS else {}
        errors |= row_faults.of(self)
        if errors:
            raise ValidationError(errors)
