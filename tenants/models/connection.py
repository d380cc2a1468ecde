"""One upstream account: its hosts, its credentials, its token."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from simple_history.models import HistoricalRecords

from quota_platform.base import hosts, secrets
from quota_platform.base.kept import in_words
from quota_platform.base.models.published import Published
from tenants import completeness, presets, request_template
from tenants.models.names import NAME

_AREA = RegexValidator(r"\A[a-z]{2}[0-9]{1,2}\Z", "Write an area such as na1, eu1 or au1.")
_VERSION = RegexValidator(r"\Av[0-9]{1,3}\.[0-9]{1,2}\Z", "Write a version such as v30.0.")
_ADDRESSES = ("base_url", "token_url", "issuer_url")
_SEALED = {"client_secret_sealed": "client_secret", "access_key_secret_sealed": "access_key_secret"}
_RESERVED_PARAMS = frozenset({"grant_type", "client_id", "client_secret", "username", "password", "scope"})


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
                condition=Q(preset__in=["cxone", "cxone_access_key"]) | ~Q(base_url=""),
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
        if self.preset not in presets.PRESETS:
            return  # the field's own error says so
        errors: dict[str, str] = {}
        for found in (
            *(self._missing_secrets, self._missing, self._led_away, self._refused_urls, self._wrong_templates),
            self._wrong_in_flight,
        ):
            errors |= dict(found())
        if self.pk and (unfit := self._unfit_action()):
            said = _("This preset cannot invoke {action}; change or delete that action first.")
            errors["preset"] = said.format(action=unfit)
        if errors:
            raise ValidationError(errors)

    def _unfit_action(self) -> str:
        unfit = set(presets.KINDS) - set(presets.PRESETS[self.preset].kinds)
        names = self.tenants.filter(actions__kind__in=unfit).values_list(
            "tenant_id", "actions__action_id", "actions__kind"
        )
        first = names.first()
        if first is None:
            return ""
        return _("{tenant}/{action} (kind {kind})").format(tenant=first[0], action=first[1], kind=first[2])

    def _missing(self) -> Iterator[tuple[str, str]]:
        if self.pace == self.Pace.FIXED and self.pace_per_minute is None:
            yield "pace_per_minute", _("Enter the calls a minute of the fixed pace.")
        required = presets.PRESETS[self.preset].required
        for field in required:
            if not getattr(self, field) and not (field == "allowed_host_suffixes" and self.is_sandbox):
                yield field, _("The preset {preset} needs this field.").format(preset=self.preset)
        if self.is_sandbox and not self.base_url:
            yield "base_url", _("Enter the sandbox's address, one of SANDBOX_HOSTS.")
        if self.preset == "generic_oauth2":
            grant = self.grant_type or presets.PRESETS[self.preset].grant_type
            if grant == self.GrantType.CLIENT_CREDENTIALS and not self.client_id:
                yield "client_id", _("Client credentials need a client ID.")
            if grant != self.GrantType.CLIENT_CREDENTIALS and not self.access_key_id:
                yield "access_key_id", _("This grant needs the access key (or user name) to send.")

    def _missing_secrets(self) -> Iterator[tuple[str, str]]:
        """A row that lacks one since before this was asked can be edited in other ways, but not be switched on."""
        missing = completeness.missing_secrets(self)
        stored = Connection.objects.filter(pk=self.pk).first() if self.pk and missing else None
        known: list[str] = []
        if stored is not None and stored._signs_in_like(self) and (stored.enabled or not self.enabled):
            known = completeness.missing_secrets(stored)
        for name in missing:
            if name not in known:
                said = _("The preset {preset} needs the {secret}, and none is stored. Enter it.")
                yield name, said.format(preset=self.preset, secret=completeness.named([name]))

    def _signs_in_like(self, other: Connection) -> bool:
        return all(getattr(self, name) == getattr(other, name) for name in ("preset", "grant_type", "client_auth"))

    def _led_away(self) -> Iterator[tuple[str, str]]:
        """A secret stays with the hosts it was given for: who may edit an address could have it sent to themselves."""
        stored = Connection.objects.filter(pk=self.pk).values(*_ADDRESSES, *_SEALED).first() if self.pk else None
        if stored is None:
            return
        kept = [name for field, name in _SEALED.items() if stored[field] and stored[field] == getattr(self, field)]
        known = {hosts.origin(stored[field]) for field in _ADDRESSES}
        for field in _ADDRESSES:
            url = getattr(self, field)
            if kept and url and hosts.origin(url) not in known:
                said = _("Enter the {secrets} again: the stored value was entered for another address.")
                yield field, said.format(secrets=completeness.named(kept))

    def _refused_urls(self) -> Iterator[tuple[str, str]]:
        for field in _ADDRESSES:
            if url := getattr(self, field):
                try:
                    hosts.check_url(url, suffixes=self.suffixes(), sandbox_hosts=self._sandbox_hosts())
                except hosts.HostRefused as error:
                    yield field, in_words(str(error))

    def _wrong_templates(self) -> Iterator[tuple[str, str]]:
        if self.probe_path:
            try:
                request_template.check_path(self.probe_path)
                if set(request_template.split(self.probe_path)[1::2]) - {"services"}:
                    raise request_template.TemplateWrong(_("Only {services} can be filled in a test path."))
            except request_template.TemplateWrong as error:
                yield "probe_path", str(error)
        extra = self.token_extra_params
        if not isinstance(extra, dict) or not all(isinstance(value, str) for value in extra.values()):
            yield "token_extra_params", _('Write an object of texts, such as {"audience": "https://api.example.com"}.')
        elif taken := _RESERVED_PARAMS & set(extra):
            yield "token_extra_params", _("{names}: use the field of its own.").format(names=", ".join(sorted(taken)))

    def _wrong_in_flight(self) -> Iterator[tuple[str, str]]:
        least, most = self.min_in_flight, self.max_in_flight
        if least is not None and most is not None and least > most:
            yield "min_in_flight", _("The smallest number in flight must not be above the largest.")

    def _sandbox_hosts(self) -> list[str]:
        return (settings.ENV.SANDBOX_HOSTS or [_("(none: SANDBOX_HOSTS is empty)")]) if self.is_sandbox else []
