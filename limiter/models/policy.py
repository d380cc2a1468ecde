"""A named, reusable set of limits plus adaptive and failure settings."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from limiter.core.types import (
    MAX_BURST_SECONDS,
    MAX_LOG_QUOTA,
    MAX_QUOTA,
    MAX_WINDOW_SECONDS,
    Algorithm,
    CountedPer,
)

LIMIT_NAME = RegexValidator(
    r"\A[a-z][a-z0-9_-]{0,31}\Z",
    "Use up to 32 lower-case letters, digits, dash and underscore, starting with a letter.",
)


class QuotaPolicy(models.Model):
    """A named, reusable set of limits plus adaptive and failure settings."""

    class Mode(models.TextChoices):
        ENFORCE = "enforce", "enforce: refuse calls over a limit"
        SHADOW = "shadow", "shadow: decide and record, never refuse"

    class StoreFailure(models.TextChoices):
        LOCAL = "local", "local: each worker spends its own share"
        OPEN = "open", "open: let every call pass"
        CLOSED = "closed", "closed: answer 503"

    class AdaptiveScope(models.TextChoices):
        TENANT = "tenant", "per tenant"
        ACTION = "action", "per action"

    class ReducedStatus(models.IntegerChoices):
        TOO_MANY_REQUESTS = 429, "429 Too Many Requests"
        SERVICE_UNAVAILABLE = 503, "503 Service Unavailable"

    name = models.CharField(max_length=80, unique=True)
    description = models.TextField(blank=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    mode = models.CharField(max_length=8, choices=Mode.choices, default=Mode.ENFORCE)
    store_failure = models.CharField(
        "when the store is away", max_length=8, choices=StoreFailure.choices, default=StoreFailure.LOCAL
    )
    reduced_status = models.PositiveSmallIntegerField(
        "status when only the adaptive cut refuses",
        choices=ReducedStatus.choices,
        default=ReducedStatus.TOO_MANY_REQUESTS,
    )
    adaptive = models.BooleanField(default=True, help_text="Shrink the limits while the upstream is slow.")
    adaptive_scope = models.CharField(
        max_length=8,
        choices=AdaptiveScope.choices,
        default=AdaptiveScope.TENANT,
        help_text="Whose latency counts.",
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

    history = HistoricalRecords()

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "quota policies"
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

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None and not self._state.adding:
            self.version += 1
        super().save(*args, **kwargs)


class QuotaLimit(models.Model):
    """One line of a policy: how many, per what window, counted per what, by which algorithm."""

    policy = models.ForeignKey(QuotaPolicy, on_delete=models.CASCADE, related_name="limits")
    name = models.CharField(
        max_length=32,
        validators=[LIMIT_NAME],
        help_text="Same name replaces a broader policy's limit; others add up.",
    )
    algorithm = models.CharField(
        max_length=16, choices=[(a.value, a.label) for a in Algorithm], default=Algorithm.SLIDING_LOG.value
    )
    quota = models.PositiveBigIntegerField(
        "limit",
        validators=[MinValueValidator(1), MaxValueValidator(MAX_QUOTA)],
        help_text="Units per window, or in flight.",
    )
    window_seconds = models.PositiveIntegerField(
        "window (s)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_WINDOW_SECONDS)],
        help_text="Not for concurrency.",
    )
    burst = models.PositiveBigIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_QUOTA)],
        help_text="Token bucket only: units that may come at once.",
    )
    lease_seconds = models.PositiveIntegerField(
        "lease (s)",
        default=90,
        validators=[MinValueValidator(1), MaxValueValidator(3600)],
        help_text="Concurrency only: after this a slot frees itself. Keep it above the upstream deadline.",
    )
    counted_per = models.CharField(
        max_length=12, choices=[(c.value, c.label) for c in CountedPer], default=CountedPer.ACTION.value
    )
    adaptive = models.BooleanField(default=True, help_text="Shrinks with the policy's multiplier.")

    history = HistoricalRecords()

    class Meta:
        ordering = ["policy_id", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "name"],
                name="limit_name_unique_per_policy",
                violation_error_message="Two limits of one policy cannot have the same name.",
            ),
            models.CheckConstraint(condition=Q(quota__gte=1, quota__lte=MAX_QUOTA), name="limit_quota_in_range"),
            models.CheckConstraint(
                condition=Q(algorithm="concurrency", window_seconds__isnull=True)
                | Q(window_seconds__gte=1, window_seconds__lte=MAX_WINDOW_SECONDS) & ~Q(algorithm="concurrency"),
                name="limit_window_fits_algorithm",
                violation_error_message="Give a window in seconds, except for concurrency, which has none.",
            ),
            models.CheckConstraint(
                condition=Q(algorithm="token_bucket", burst__gte=1)
                | ~Q(algorithm="token_bucket") & Q(burst__isnull=True),
                name="limit_burst_fits_algorithm",
                violation_error_message="A token bucket needs a burst; the other algorithms have none.",
            ),
            models.CheckConstraint(
                condition=~Q(algorithm="sliding_log") | Q(quota__lte=MAX_LOG_QUOTA),
                name="limit_log_not_too_long",
                violation_error_message=f"A sliding log holds at most {MAX_LOG_QUOTA:,} units; use a sliding counter.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.policy.name}: {self.name}"

    def clean(self) -> None:
        errors: dict[str, str] = {}
        if self.algorithm == Algorithm.CONCURRENCY:
            if self.window_seconds is not None:
                errors["window_seconds"] = "Concurrency counts calls in flight and has no window; leave it empty."
        elif self.window_seconds is None:
            errors["window_seconds"] = "Give the window in seconds."
        if self.algorithm == Algorithm.TOKEN_BUCKET:
            if self.burst is None:
                errors["burst"] = "Say how many units may come at once."
            elif self.window_seconds and self.burst * self.window_seconds > MAX_BURST_SECONDS:
                errors["burst"] = f"Burst times window must not exceed {MAX_BURST_SECONDS:,}; shorten the window."
        elif self.burst is not None:
            errors["burst"] = "Only a token bucket has a burst; leave it empty."
        if self.algorithm == Algorithm.SLIDING_LOG and self.quota is not None and self.quota > MAX_LOG_QUOTA:
            errors["quota"] = f"A sliding log holds at most {MAX_LOG_QUOTA:,} units; use a sliding counter."
        if errors:
            raise ValidationError(errors)
