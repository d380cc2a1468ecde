"""Saved reports: an export that repeats, its times and its recipients."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from simple_history.models import HistoricalRecords

from limiter.reports.models.export import Export, format_choices
from quota_platform.base.mail import sending
from quota_platform.base.models.attempted import Attempted
from quota_platform.base.time_zones import UTC_NAME

MAX_RECIPIENTS = 20


class ReportSchedule(models.Model):
    """An order of exports: of the last ``days`` whole days of its time zone before each run, for who owns it.

    Its runs are the owner's exports, with the owner's rights of that moment. ``armed_at``: moments of the rhythm before
    it are not made up for. ``refused``: why the last run was not ordered; empty when it was.
    """

    class Rhythm(models.TextChoices):
        BY_HAND = "by_hand", "by hand only"
        DAILY = "daily", "daily"
        WEEKLY = "weekly", "weekly"

    class Weekday(models.IntegerChoices):
        MONDAY = 0, "Monday"
        TUESDAY = 1, "Tuesday"
        WEDNESDAY = 2, "Wednesday"
        THURSDAY = 3, "Thursday"
        FRIDAY = 4, "Friday"
        SATURDAY = 5, "Saturday"
        SUNDAY = 6, "Sunday"

    name = models.CharField(max_length=80, help_text="Its title, e.g. 'Refusals of the week'.")
    kind = models.CharField(max_length=16, choices=Export.Kind.choices)
    format = models.CharField(max_length=8, choices=format_choices)
    days = models.PositiveSmallIntegerField(
        "days covered",
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(366)],
        help_text="So many whole days of the time zone before the run.",
    )
    tenants = models.JSONField(default=list, blank=True)
    actions = models.JSONField(default=list, blank=True)
    policies = models.JSONField(default=list, blank=True)
    rhythm = models.CharField(max_length=8, choices=Rhythm.choices, default=Rhythm.DAILY)
    weekday = models.PositiveSmallIntegerField(
        choices=Weekday.choices, default=Weekday.MONDAY, help_text="For a weekly report."
    )
    hour = models.PositiveSmallIntegerField(
        default=6, validators=[MaxValueValidator(23)], help_text="From this hour of the time zone on, 0 to 23."
    )
    time_zone = models.CharField(
        max_length=64,
        default=UTC_NAME,
        db_default=UTC_NAME,
        help_text="Of its days, its hour and the times in its files, for example Europe/Berlin.",
    )
    recipients = models.JSONField(default=list, blank=True)
    enabled = models.BooleanField(default=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, editable=False, related_name="+"
    )
    owner_name = models.CharField("owner", max_length=150, editable=False)
    armed_at = models.DateTimeField(default=timezone.now, editable=False)
    refused = models.CharField("last run refused", max_length=200, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    history = HistoricalRecords(excluded_fields=["armed_at", "refused"])

    class Meta:
        ordering = ["name", "id"]
        verbose_name = "saved report"
        constraints = [
            models.CheckConstraint(
                condition=Q(days__gte=1, days__lte=366, hour__lte=23, weekday__lte=6),
                name="report_schedule_in_range",
                violation_error_message="1 to 366 days, an hour from 0 to 23, a weekday from 0 (Monday) to 6.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        wrong = dict(self._wrong_recipients())
        if wrong:
            raise ValidationError(wrong)

    def _wrong_recipients(self) -> Any:
        if not isinstance(self.recipients, list) or not all(isinstance(each, str) for each in self.recipients):
            yield "recipients", _("Give a list of mail addresses.")
            return
        if self.recipients and not settings.ENV.EMAIL_HOST:
            yield "recipients", _("No mail server is set (EMAIL_HOST); leave this empty, and fetch the files.")
            return
        if len(self.recipients) > MAX_RECIPIENTS:
            yield "recipients", _("Give at most {most} addresses.").format(most=MAX_RECIPIENTS)
        for address in self.recipients:
            if why := sending.wrong_address(address):
                yield "recipients", why
                return

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Changed times apply from now on."""
        times = ("enabled", "rhythm", "weekday", "hour", "time_zone")
        before = ReportSchedule.objects.filter(pk=self.pk).values_list(*times).first()
        if before is not None and before != tuple(getattr(self, name) for name in times):
            self.armed_at = timezone.now()
        super().save(*args, **kwargs)


class ReportMail(Attempted):
    """One mail of one export to one address."""

    uid = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    at = models.DateTimeField("made", default=timezone.now)
    export = models.ForeignKey(Export, on_delete=models.CASCADE, related_name="mails")
    address = models.EmailField()
    attached = models.BooleanField(default=False)

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [models.UniqueConstraint(fields=["export", "address"], name="report_mail_once")]
        indexes = [models.Index(fields=["next_at"], name="report_mail_due", condition=Q(state="waiting"))]

    def __str__(self) -> str:
        return _("{export} to {address}").format(export=self.export, address=self.address)
