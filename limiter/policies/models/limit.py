"""One line of a policy: how many, per what window, counted per what, by which algorithm."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models, transaction
from django.db.models import Q
from django.db.models.signals import pre_delete
from django.dispatch import receiver
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from simple_history.signals import pre_create_historical_record

from limiter.core.algorithms import RULES, Rules
from limiter.core.types import (
    MAX_LEASE_SECONDS,
    MAX_QUOTA,
    MAX_WEIGHT,
    MAX_WINDOW_SECONDS,
    CountedPer,
    ServiceClass,
)
from limiter.core.values import MAX_VALUES
from limiter.policies.models.policy import QuotaPolicy
from limiter.policies.models.version import EditRecords, LimitHistory, one_version
from quota_platform.base import json_pointer
from quota_platform.base.models.published import Published

LIMIT_NAME = RegexValidator(
    r"\A[a-z][a-z0-9_-]{0,31}\Z",
    "Use up to 32 lower-case letters, digits, dash and underscore, starting with a letter.",
)


MAX_ADAPTIVE_WINDOW_S = 300
"""A longer window follows the upstream only where somebody says so: a cut of a day shuts a tenant out for that day."""

MAX_LIMITS = 50
"""Lines of one policy at most; all of them are decided in one script."""


def adapts_by_default(window_seconds: int | None) -> bool:
    """Whether a limit of which nobody says it follows the upstream; a concurrency limit, without a window, does."""
    return (window_seconds or 0) <= MAX_ADAPTIVE_WINDOW_S


def algorithm_choices() -> list[tuple[str, Promise]]:
    """All that there are; a migration names this function."""
    return [(name, gettext_lazy(rules.label)) for name, rules in RULES.items()]


def _with(trait: Callable[[Rules], bool]) -> Q:
    """A limit whose algorithm has the trait."""
    return reduce(or_, (Q(algorithm=name) for name, rules in RULES.items() if trait(rules)))


def _has_burst(rules: Rules) -> bool:
    return "burst" in rules.fields


class QuotaLimitQuerySet(models.QuerySet["QuotaLimit"]):
    """Limits; deleting many is one edit of each policy they belong to."""

    def delete(self) -> tuple[int, dict[str, int]]:
        with one_version():
            return super().delete()

    # As Django marks its own: not for managers, not for templates.
    delete.queryset_only = True  # type: ignore[attr-defined]
    delete.alters_data = True  # type: ignore[attr-defined]


class QuotaLimit(Published):
    """One line of a policy: how many, per what window, counted per what, by which algorithm."""

    policy = models.ForeignKey(QuotaPolicy, on_delete=models.CASCADE, related_name="limits")
    name = models.CharField(
        max_length=32,
        validators=[LIMIT_NAME],
        help_text="Same name replaces a broader policy's limit; others add up.",
    )
    algorithm = models.CharField(
        max_length=16,
        choices=algorithm_choices,
        default="sliding_log",
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
        validators=[MinValueValidator(1), MaxValueValidator(MAX_LEASE_SECONDS)],
        help_text="Concurrency only: after this a slot frees itself. Keep it above the upstream deadline.",
    )
    counted_per = models.CharField(
        max_length=12, choices=[(c.value, c.label) for c in CountedPer], default=CountedPer.ACTION.value
    )
    counted_by = models.CharField(
        "and by the value of",
        max_length=json_pointer.MAX_CHARS,
        blank=True,
        default="",
        db_default="",
        help_text="JSON Pointer into the payload, e.g. /contactId, or the name of a header: each value has a count of"
        " its own. Empty: all calls share one.",
    )
    max_values = models.PositiveIntegerField(
        default=1000,
        db_default=1000,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_VALUES)],
        help_text="Of each tenant at once; calls with further values share one count.",
    )
    adaptive = models.BooleanField(default=True, help_text="Shrinks with the policy's multiplier.")

    shared = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Divided fairly among the tenants of a connection; idle units are lent. Only counted per connection.",
    )
    share_weight = models.PositiveSmallIntegerField(
        "weight",
        default=1,
        db_default=1,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_WEIGHT)],
        help_text="Of each tenant under this policy: contended units are divided in this ratio.",
    )
    share_floor = models.PositiveBigIntegerField(
        "floor",
        default=0,
        db_default=0,
        validators=[MaxValueValidator(MAX_QUOTA)],
        help_text="Units that are each tenant's own, however much others call; 0: none.",
    )
    share_ceiling = models.PositiveBigIntegerField(
        "ceiling",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_QUOTA)],
        help_text="Units that each tenant never passes; empty: no ceiling.",
    )
    share_class = models.CharField(
        "class",
        max_length=8,
        choices=[(each.value, each.value) for each in ServiceClass],
        default=ServiceClass.NORMAL.value,
        db_default=ServiceClass.NORMAL.value,
        help_text="Critical calls come before normal ones, these before bulk ones; floors come first.",
    )

    history = EditRecords(bases=[LimitHistory])
    objects = QuotaLimitQuerySet.as_manager()

    policy_version = 1
    """The policy's version that the latest change of this object made; kept in the history, not in the row."""

    class Meta:
        ordering = ["policy_id", "id"]
        verbose_name = "limit"
        permissions = [("reset_counter", "Can reset what a limit has counted")]
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "name"],
                name="limit_name_unique_per_policy",
                violation_error_message="Two limits of one policy cannot have the same name.",
            ),
            models.CheckConstraint(condition=Q(quota__gte=1, quota__lte=MAX_QUOTA), name="limit_quota_in_range"),
            models.CheckConstraint(
                condition=_with(lambda rules: not rules.has_window) & Q(window_seconds__isnull=True)
                | Q(window_seconds__gte=1, window_seconds__lte=MAX_WINDOW_SECONDS)
                & ~_with(lambda rules: not rules.has_window),
                name="limit_window_fits_algorithm",
                violation_error_message="Give a window in seconds, except for concurrency, which has none.",
            ),
            models.CheckConstraint(
                condition=_with(_has_burst) & Q(burst__gte=1) | ~_with(_has_burst) & Q(burst__isnull=True),
                name="limit_burst_fits_algorithm",
                violation_error_message="A token bucket needs a burst; the other algorithms have none.",
            ),
            *(
                models.CheckConstraint(
                    condition=~Q(algorithm=name) | Q(quota__lte=rules.max_quota),
                    name=rules.quota_constraint,
                    violation_error_message=rules.too_large,
                )
                for name, rules in RULES.items()
                if rules.quota_constraint
            ),
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Where ``adaptive`` is not given, the window decides; rows of the database come with all columns."""
        super().__init__(*args, **kwargs)
        if not args and "adaptive" not in kwargs:
            self.adaptive = adapts_by_default(self.window_seconds)

    def __str__(self) -> str:
        return f"{self.policy.name}: {self.name}"

    def save(self, **kwargs: Any) -> None:
        with transaction.atomic():
            self._raise_policy_version()
            super().save(**kwargs)

    def _raise_policy_version(self) -> None:
        self.policy_version = QuotaPolicy.objects.raise_version(self.policy_id)
        if QuotaLimit.policy.is_cached(self):
            self.policy.version = self.policy_version

    def clean(self) -> None:
        wrong = dict(rules.wrong(self)) if (rules := RULES.get(self.algorithm)) else {}
        if self.pk and QuotaLimit.objects.filter(pk=self.pk).exclude(policy_id=self.policy_id).exists():
            wrong["policy"] = _("A limit stays with its policy; add a limit to the other policy instead.")
        if wrong:
            raise ValidationError(wrong)


@receiver(pre_delete, sender=QuotaLimit)
def _raise_version_before_delete(instance: QuotaLimit, origin: object = None, **signal: object) -> None:
    """A limit that goes is a new version of its policy, unless the policy goes with it.

    Then the record says one version further, so that the policy's last version keeps its limits.
    """
    if getattr(origin, "model", type(origin)) is QuotaLimit:
        instance._raise_policy_version()
    else:
        instance.policy_version = instance.policy.version + 1


@receiver(pre_create_historical_record, sender=QuotaLimit.history.model)
def _record_policy_version(instance: QuotaLimit, history_instance: LimitHistory, **_: object) -> None:
    history_instance.policy_version = instance.policy_version
