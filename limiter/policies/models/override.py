"""What changes for a tenant or an action for a while: a factor, another number, or shadow."""

from __future__ import annotations

from datetime import datetime

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _
from simple_history.models import HistoricalRecords

from limiter.core.types import MAX_QUOTA
from limiter.policies.models.limit import LIMIT_NAME
from quota_platform.base.models.published import Published
from quota_platform.base.reason import MAX_REASON
from tenants.models import Action, Tenant


class OverrideQuerySet(models.QuerySet["Override"]):
    """Overrides, by where they stand in time."""

    def in_state(self, state: str, *, now: datetime) -> OverrideQuerySet:
        """Those that are planned, active or ended at ``now``; an override is active until just before its end."""
        match state:
            case Override.State.PLANNED:
                return self.filter(starts_at__gt=now)
            case Override.State.ENDED:
                return self.filter(starts_at__lte=now, ends_at__lte=now)
        return self.filter(starts_at__lte=now, ends_at__gt=now)


class Override(Published):
    """A temporary change for a tenant or one of its actions, with a reason and an end."""

    class State(models.TextChoices):
        PLANNED = "planned", "planned"
        ACTIVE = "active", "active"
        ENDED = "ended", "ended"

    class Effect(models.TextChoices):
        FACTOR = "factor", "multiply the limit"
        QUOTA = "quota", "set the limit"
        SHADOW = "shadow", "record but do not refuse"

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="overrides")
    action = models.ForeignKey(
        Action,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="overrides",
        help_text="Blank: all actions.",
    )
    limit_name = models.CharField(max_length=32, blank=True, validators=[LIMIT_NAME], help_text="Blank: every limit.")
    effect = models.CharField(max_length=8, choices=Effect.choices)
    factor = models.FloatField(null=True, blank=True, validators=[MinValueValidator(0.01), MaxValueValidator(100)])
    quota = models.PositiveBigIntegerField(
        "limit", null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(MAX_QUOTA)]
    )
    starts_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=MAX_REASON)
    created_by = models.CharField(max_length=150, blank=True, editable=False)

    history = HistoricalRecords()
    objects = OverrideQuerySet.as_manager()

    class Meta:
        ordering = ["-starts_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")),
                name="override_ends_after_start",
                violation_error_message="The end must come after the start.",
            ),
            models.CheckConstraint(
                condition=Q(effect="factor", factor__gt=0, quota__isnull=True)
                | Q(effect="quota", quota__gte=1, factor__isnull=True)
                | Q(effect="shadow", factor__isnull=True, quota__isnull=True),
                name="override_value_fits_effect",
                violation_error_message="Give the factor or the limit that the effect calls for, and nothing else.",
            ),
        ]

    def __str__(self) -> str:
        said = _("{effect} for {target} until {until}")
        return said.format(
            effect=self.get_effect_display(), target=self.action or self.tenant, until=f"{self.ends_at:%Y-%m-%d %H:%M}"
        )

    def state_at(self, now: datetime) -> Override.State:
        """Planned, active or ended."""
        if self.starts_at > now:
            return self.State.PLANNED
        return self.State.ACTIVE if self.ends_at > now else self.State.ENDED

    def clean(self) -> None:
        errors: dict[str, str] = {}
        for field in ("factor", "quota"):
            given = getattr(self, field) is not None
            if given and self.effect != field:
                errors[field] = _("Leave this empty for the chosen effect.")
            elif not given and self.effect == field:
                errors[field] = _("This effect needs a value here.")
        if self.effect == self.Effect.QUOTA and not self.limit_name:
            errors["limit_name"] = _("Name the limit whose value is set.")
        if self.action is not None and self.action.tenant_id != self.tenant_id:
            errors["action"] = _("This action belongs to another tenant.")
        if self.ends_at and self.starts_at and self.ends_at <= self.starts_at:
            errors["ends_at"] = _("The end must come after the start.")
        if errors:
            raise ValidationError(errors)
