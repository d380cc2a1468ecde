"""A named, reusable set of limits plus adaptive and failure settings."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import F, Max, Q
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from limiter.outage import modes
from limiter.policies.models.version import EditRecords, give, is_given
from quota_platform.base.models.published import Published
from tenants.models import Change

MAX_ALERTS = 5
MAX_WAIT_SECONDS = 300
MAX_RESERVE_SECONDS = 60


def default_alert_at() -> list[int]:
    """80, 95 and 100 percent: soon, very soon, now."""
    return [80, 95, 100]


def store_failure_choices() -> list[tuple[str, Promise]]:
    """All that there are; a migration names this function."""
    return [(mode.name, gettext_lazy(mode.label)) for mode in modes.MODES.values()]


def alert_fault(value: object) -> str:
    """The faults of thresholds, each with its remedy; empty without any."""
    whole = isinstance(value, list) and all(isinstance(each, int) and not isinstance(each, bool) for each in value)
    if not isinstance(value, list) or not whole or not all(1 <= each <= 100 for each in value):
        return _("Give whole percentages from 1 to 100, or none.")
    if len(value) > MAX_ALERTS:
        return _("Give at most {most} percentages.").format(most=MAX_ALERTS)
    if any(later <= earlier for earlier, later in pairwise(value)):
        return _("Give each percentage once, the lowest first.")
    return ""


class QuotaPolicyQuerySet(models.QuerySet["QuotaPolicy"]):
    """Policies, and the one way to raise a version without editing the policy's own fields."""

    def locked(self, policy_id: int) -> QuotaPolicy | None:
        """The policy as it is stored, kept from other editors until the transaction ends.

        The turn is taken before the row, as :class:`~quota_platform.base.models.published.Published` takes it: two
        edits wait for each other where neither holds anything yet.
        """
        Change.objects.using(self.db).take_turn()
        return self.select_for_update().filter(pk=policy_id).first()

    def raise_version(self, policy_id: int) -> int:
        """Raise the policy's version for a change of its limits, at most once per edit; return the version.

        Call it inside the transaction that changes the limit.
        """
        policy = self.locked(policy_id)
        if policy is None:
            raise self.model.DoesNotExist(f"There is no policy {policy_id}.")
        if not is_given(policy.pk, policy.version):
            policy.save()
        return policy.version


class QuotaPolicy(Published):
    """A named, reusable set of limits plus adaptive and failure settings.

    ``version`` rises with every edit of the policy or of its limits;
    :func:`~limiter.policies.models.version.one_version` makes several saves one edit.
    """

    class Mode(models.TextChoices):
        ENFORCE = "enforce", "enforce: refuse calls over a limit"
        SHADOW = "shadow", "shadow: decide and record, never refuse"

    class AdaptiveScope(models.TextChoices):
        TENANT = "tenant", "per tenant"
        ACTION = "action", "per action"

    class CutCarrier(models.TextChoices):
        LIMITS = "limits", "the limits"
        IN_FLIGHT = "in_flight", "calls in flight"

    class ReducedStatus(models.IntegerChoices):
        TOO_MANY_REQUESTS = 429, "429 Too Many Requests"
        SERVICE_UNAVAILABLE = 503, "503 Service Unavailable"

    name = models.CharField(max_length=80, unique=True)
    description = models.TextField(blank=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    mode = models.CharField(max_length=8, choices=Mode.choices, default=Mode.ENFORCE)
    store_failure = models.CharField(
        "when the store is unavailable", max_length=8, choices=store_failure_choices, default=modes.LOCAL.name
    )
    reduced_status = models.PositiveSmallIntegerField(
        "status when only the adaptive cut refuses",
        choices=ReducedStatus.choices,
        default=ReducedStatus.TOO_MANY_REQUESTS,
    )
    wait_seconds = models.PositiveSmallIntegerField(
        "calls wait (s)",
        default=0,
        db_default=0,
        validators=[MaxValueValidator(MAX_WAIT_SECONDS)],
        help_text="How long a call over a limit waits for its turn instead of being refused, unless it prefers another "
        "time; 0: not at all.",
    )
    reserve_seconds = models.PositiveSmallIntegerField(
        "appointments hold (s)",
        default=0,
        db_default=0,
        validators=[MaxValueValidator(MAX_RESERVE_SECONDS)],
        help_text="For how long after its Retry-After a unit is held for a refused call; not by concurrency, 0: never.",
    )
    adaptive = models.BooleanField(default=True, help_text="Shrink the limits while the upstream is slow.")
    cut_carrier = models.CharField(
        "the cut falls on",
        max_length=9,
        choices=CutCarrier.choices,
        default=CutCarrier.LIMITS,
        db_default=CutCarrier.LIMITS,
        help_text="Calls in flight: the limits stay whole, and while the upstream is slow fewer calls run at once; a"
        " cut window refuses everything until it is empty again.",
    )
    adaptive_scope = models.CharField(
        max_length=8,
        choices=AdaptiveScope.choices,
        default=AdaptiveScope.TENANT,
        help_text="Whose latency counts.",
    )
    cut_on_pushback = models.BooleanField(
        "cut when the upstream refuses",
        default=False,
        help_text="Responses of 429 or 503 cut too: a tenant whose every third call the upstream rejects is allowed"
        " 2/3.",
    )
    latency_threshold_ms = models.PositiveIntegerField(
        "p95 threshold (ms)", default=800, validators=[MinValueValidator(1), MaxValueValidator(600_000)]
    )
    sensitivity = models.FloatField(default=0.5, validators=[MinValueValidator(0.01), MaxValueValidator(10)])
    min_multiplier = models.FloatField(default=0.2, validators=[MinValueValidator(0.01), MaxValueValidator(1)])
    max_multiplier = models.FloatField(default=1.0, validators=[MinValueValidator(0.01), MaxValueValidator(10)])
    sample_size = models.PositiveIntegerField(
        default=100,
        validators=[MinValueValidator(5), MaxValueValidator(1000)],
        help_text="Newest latencies that count.",
    )
    min_samples = models.PositiveIntegerField(default=5, validators=[MinValueValidator(1), MaxValueValidator(1000)])
    sample_max_age_seconds = models.PositiveIntegerField(
        "oldest sample (s)", default=120, validators=[MinValueValidator(1), MaxValueValidator(86_400)]
    )
    alert_at = models.JSONField(
        "alerts at (%)",
        default=default_alert_at,
        blank=True,
        help_text="Percent of a limit in force, as used, at which an alert starts; empty for none.",
    )

    history = EditRecords()
    objects = QuotaPolicyQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name, verbose_name_plural = "policy", "policies"
        constraints = [
            models.CheckConstraint(
                condition=Q(min_multiplier__gt=0, max_multiplier__gte=F("min_multiplier")),
                name="policy_multiplier_range",
                violation_error_message="The smallest multiplier must be above 0 and not above the largest.",
            ),
            models.CheckConstraint(
                condition=Q(sample_size__gte=F("min_samples")),
                name="policy_sample_size_covers_min",
                violation_error_message="The sample size must be at least the number of samples needed.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        # As the constraints say, but at the field that is to be changed.
        errors: dict[str, str] = {}
        if _both(self.min_multiplier, self.max_multiplier) and self.min_multiplier > self.max_multiplier:
            errors["min_multiplier"] = _("The smallest multiplier must not be above the largest.")
        if _both(self.min_samples, self.sample_size) and self.min_samples > self.sample_size:
            errors["min_samples"] = _("Ask for at most as many samples as are kept.")
        if fault := alert_fault(self.alert_at):
            errors["alert_at"] = fault
        if errors:
            raise ValidationError(errors)

    def save(self, **kwargs: Any) -> None:
        with transaction.atomic():
            if not self._state.adding:
                self.version = self._next_version()
                if kwargs.get("update_fields") is not None:
                    kwargs["update_fields"] = {*kwargs["update_fields"], "version"}
            super().save(**kwargs)
            give(self.pk, self.version)

    def _next_version(self) -> int:
        """One above the stored version, whatever this object was loaded with: two editors never share a version."""
        stored = type(self).objects.locked(self.pk)
        if stored is not None:
            return stored.version if is_given(self.pk, stored.version) else stored.version + 1
        # A deleted policy comes back: above everything its history knows.
        recorded = type(self).history.filter(id=self.pk).aggregate(n=Max("version"))["n"] or 0
        limits = self.limits.model.history.filter(policy_id=self.pk)
        recorded_limits = limits.aggregate(n=Max("policy_version"))["n"] or 0
        return int(max(recorded, recorded_limits)) + 1


def _both(one: object, other: object) -> bool:
    """Whether both were read; a field that could not be has an error of its own."""
    return one is not None and other is not None
