"""Contact points: where alerts go as they start and end; and each message, until it has arrived."""

from __future__ import annotations

import base64
import secrets as random
import uuid
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from simple_history.models import HistoricalRecords

from limiter.alerts import hours
from limiter.alerts.event_types import STARTED, choosable
from limiter.alerts.hours import Hours
from limiter.alerts.kinds import registry
from limiter.alerts.kinds.kind import AddressKind, Kind
from limiter.alerts.kinds.signature import SECRET_PREFIX
from limiter.alerts.models.alert import Alert
from quota_platform.base import features, hosts, secrets, time_zones
from quota_platform.base.events import MAX_NAME
from quota_platform.base.kept import in_words
from quota_platform.base.mail import sending
from quota_platform.base.models.attempted import Attempted
from tenants.models import Tenant

MAX_RECIPIENTS = 20
_SECRET_BYTES = 32


def default_events() -> list[str]:
    """What there was before there were others."""
    return [STARTED]


class Severity(models.TextChoices):
    """The least one that a contact point wants; of which type which is, :mod:`quota_platform.base.events` says."""

    INFO = "info", gettext_lazy("information")
    WARNING = "warning", gettext_lazy("warning")
    ERROR = "error", gettext_lazy("error")
    CRITICAL = "critical", gettext_lazy("critical")


class AlertHook(models.Model):
    """A contact point: it gets one tenant's alerts, or every tenant's. It is the tenant's, not its author's.

    ``url`` of a kind whose URL is its secret is only the host; the whole is sealed. ``failures``: messages given up
    since the last one that arrived. ``stopped_because`` is why the platform switched it off by itself.
    """

    name = models.CharField(max_length=80, help_text="The receiver, e.g. 'On-call'.")
    kind = models.CharField(
        max_length=12,
        choices=registry.choices,
        default=registry.SIGNED,
        db_default=registry.SIGNED,
        help_text="It stays: for another kind create another contact point.",
    )
    tenant = models.ForeignKey(
        Tenant,
        on_delete=models.CASCADE,
        related_name="alert_hooks",
        null=True,
        blank=True,
        help_text="Whose alerts. Empty: every tenant's.",
    )
    url = models.URLField(
        "URL",
        max_length=1000,
        blank=True,
        help_text="https, under one of ALERT_HOOK_HOSTS. Slack, Teams: the whole URL of the webhook; it is sealed.",
    )
    recipients = models.JSONField(
        default=list, blank=True, db_default=models.Value([], models.JSONField()), help_text="Mail addresses."
    )
    events = models.JSONField(
        default=default_events,
        blank=True,
        db_default=models.Value([STARTED], models.JSONField()),
        help_text="The events it gets. An end goes where its start went.",
    )
    from_threshold = models.PositiveSmallIntegerField(
        "from threshold (%)",
        default=80,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="Alerts of lower thresholds are not posted.",
    )
    from_severity = models.CharField(
        "from severity",
        max_length=8,
        choices=Severity,
        default=Severity.INFO,
        db_default=Severity.INFO,
        help_text="Less severe events and alerts are not posted. An end goes where its start went.",
    )
    tell_ends = models.BooleanField("notify of ends too", default=True, help_text="Post again when an alert is over.")
    active_days = models.CharField(
        "days",
        max_length=8,
        choices=[
            (hours.ALL_DAYS, gettext_lazy("every day")),
            (hours.WEEKDAYS, gettext_lazy("Monday to Friday")),
            (hours.WEEKENDS, gettext_lazy("Saturday and Sunday")),
        ],
        default=hours.ALL_DAYS,
        db_default=hours.ALL_DAYS,
        help_text="On other days it gets nothing; an alert that still lasts when its hours begin is sent then.",
    )
    active_from = models.TimeField("from", null=True, blank=True, help_text="Empty: the whole day.")
    active_until = models.TimeField("until", null=True, blank=True, help_text="Before 'from': on the next day.")
    time_zone = models.CharField(
        max_length=64, default="UTC", db_default="UTC", help_text="Of these hours, for example Europe/Berlin."
    )
    enabled = models.BooleanField(default=True)
    uid = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    secret_sealed = models.TextField(blank=True, editable=False)
    failures = models.PositiveIntegerField("given up in a row", default=0, editable=False)
    stopped_because = models.CharField("stopped because", max_length=200, blank=True, editable=False)
    created_by = models.CharField(max_length=150, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    history = HistoricalRecords(excluded_fields=["secret_sealed", "failures"])

    class Meta:
        ordering = ["name", "id"]
        verbose_name = "contact point"
        constraints = [
            models.CheckConstraint(
                condition=Q(from_threshold__gte=1, from_threshold__lte=100),
                name="alert_hook_threshold_is_percent",
                violation_error_message="A threshold is 1 to 100 percent.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def contact(self) -> Kind:
        return registry.KINDS[self.kind]

    @property
    def hours(self) -> Hours:
        return Hours(self.active_days, self.active_from, self.active_until, self.time_zone)

    def clean(self) -> None:
        self._check_hours()
        if self.kind not in registry.KINDS:
            return  # its field says so
        self._check_kind()
        self._check_events()
        if self.contact.address is AddressKind.MAIL:
            self._check_recipients()
        else:
            self._check_url()
        if self.contact.credential and not self.secret_sealed:
            raise ValidationError({"credential": _("Enter the {name}.").format(name=self.contact.credential)})

    def _check_hours(self) -> None:
        if (self.active_from is None) != (self.active_until is None):
            field = "active_until" if self.active_until is None else "active_from"
            raise ValidationError({field: _("Give both times, or neither.")})
        if self.active_from is not None and self.active_from == self.active_until:
            raise ValidationError(
                {"active_until": _("Give another time than the first; leave both empty for all day.")}
            )
        if self.time_zone not in time_zones.names():
            raise ValidationError({"time_zone": _("This is no time zone. Give one like Europe/Berlin or UTC.")})

    def _check_events(self) -> None:
        known, chosen = choosable(), self.events
        if not isinstance(chosen, list) or not chosen or not all(isinstance(name, str) for name in chosen):
            raise ValidationError({"events": _("Choose at least one event.")})
        if strangers := sorted(set(chosen) - set(known)):
            raise ValidationError({"events": _("There is no event {name}.").format(name=strangers[0][:40])})
        if not self.contact.takes_news and (news := [name for name in chosen if not known[name].incident]):
            said = _("{kind} only takes events that open an alert, and {name} opens none.")
            raise ValidationError({"events": said.format(kind=self.contact.label, name=known[news[0]].label)})
        self.events = [name for name in known if name in chosen]

    def _check_kind(self) -> None:
        before = AlertHook.objects.filter(pk=self.pk).values_list("kind", flat=True).first() if self.pk else None
        if before not in (None, self.kind):
            raise ValidationError({"kind": _("A contact point keeps its kind. Create another one.")})

    def _check_recipients(self) -> None:
        self.url = ""
        addresses = self.recipients
        if not isinstance(addresses, list) or not all(isinstance(each, str) for each in addresses):
            wrong = _("Give a list of mail addresses.")
        elif not settings.ENV.EMAIL_HOST:
            wrong = _("No mail server is set (EMAIL_HOST); the operator of the platform sets it.")
        elif not 1 <= len(addresses) <= MAX_RECIPIENTS:
            wrong = _("Give 1 to {most} addresses.").format(most=MAX_RECIPIENTS)
        else:
            wrong = next(filter(None, map(sending.wrong_address, addresses)), "")
        if wrong:
            raise ValidationError({"recipients": wrong})

    def _check_url(self) -> None:
        self.recipients = []
        self.url = self.url or self.contact.default_url
        is_secret = self.contact.address is AddressKind.SECRET_URL
        if not self.url:
            raise ValidationError({"url": _("Give the URL that alerts are posted to.")})
        try:
            hosts.check_listed(self.url, settings.ENV.ALERT_HOOK_HOSTS, setting="ALERT_HOOK_HOSTS", query=is_secret)
        except hosts.HostRefused as error:
            raise ValidationError({"url": in_words(str(error))}) from None
        if is_secret:
            self._seal_url()

    def _seal_url(self) -> None:
        """Keep the whole URL sealed and its host readable; the host alone leaves the sealed one as it is."""
        parts = urlsplit(self.url)
        host = f"{parts.scheme}://{parts.netloc}/"
        if parts.path.strip("/") or parts.query:
            self.seal(self.url)
        elif not self._seals(host):
            raise ValidationError({"url": _("Give the whole URL of the webhook, with its path.")})
        self.url = host

    def _seals(self, host: str) -> bool:
        """Whether the sealed URL is one of this host."""
        try:
            return bool(self.secret_sealed) and self.secret().startswith(host)
        except secrets.SecretUnreadable:
            return False

    def save(self, *args: Any, **kwargs: Any) -> None:
        """A hook that somebody switched on again starts afresh."""
        if self.enabled and self.stopped_because:
            self.stopped_because, self.failures = "", 0
        super().save(*args, **kwargs)

    def sealed_for(self, name: str) -> str:
        """What the secret of this name is sealed for; see :func:`quota_platform.base.secrets.seal`."""
        return f"alert_hook:{self.uid}:{name}"

    def renew_secret(self) -> str:
        """Seal a new random secret and return it, to be shown once; save() stores it."""
        plain = SECRET_PREFIX + base64.b64encode(random.token_bytes(_SECRET_BYTES)).decode()
        self.seal(plain)
        return plain

    def seal(self, plain: str) -> None:
        """Take this as its secret; save() stores it."""
        self.secret_sealed = secrets.seal(plain, purpose=self.sealed_for("secret"))

    def secret(self) -> str:
        """The secret in plain; raises :class:`quota_platform.base.secrets.SecretUnreadable`."""
        return secrets.unseal(self.secret_sealed, purpose=self.sealed_for("secret"))


def event_choices() -> list[tuple[str, Promise | str]]:
    """All that there are; a migration names this function."""
    return [(each.name, each.label) for each in features.event_types().values()]


class AlertDelivery(Attempted):
    """One message for one hook: its body, and its delivery. A body is written once and never changes.

    ``uid`` names it to the receiver, the same at every attempt. ``key`` tells its event from
    others of the type; an alert's are known by ``alert``.
    """

    at = models.DateTimeField("made", default=timezone.now)
    uid = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    hook = models.ForeignKey(AlertHook, models.CASCADE, related_name="deliveries", verbose_name="contact point")
    alert = models.ForeignKey(Alert, on_delete=models.SET_NULL, null=True, related_name="+")
    tenant_id = models.CharField("tenant ID", max_length=64, blank=True)
    event = models.CharField(max_length=MAX_NAME, choices=event_choices)
    key = models.CharField(max_length=150, blank=True, editable=False, db_default="")
    body = models.TextField()
    status = models.PositiveSmallIntegerField("last response", null=True)

    class Meta:
        ordering = ["-at", "-id"]
        verbose_name, verbose_name_plural = "delivery", "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["hook", "alert", "event"], name="alert_delivery_once"),
            models.UniqueConstraint(
                fields=["hook", "event", "key"], name="alert_delivery_of_event_once", condition=~Q(key="")
            ),
        ]
        indexes = [
            models.Index(fields=["next_at"], name="alert_delivery_due", condition=Q(state="waiting")),
            models.Index(fields=["finished_at"], name="alert_delivery_by_end"),
            models.Index(fields=["-at", "-id"], name="alert_delivery_newest"),
        ]

    def __str__(self) -> str:
        return _("{event} to {hook} {at}").format(event=self.event, hook=self.hook, at=f"{self.at:%Y-%m-%d %H:%M}")

    @property
    def message_id(self) -> str:
        """What the receiver knows it by."""
        return f"msg_{self.uid.hex}"
