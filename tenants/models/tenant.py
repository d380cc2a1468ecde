"""A customer of the platform and the actions it may invoke."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from simple_history.models import HistoricalRecords

from quota_platform.base import json_pointer, row_faults
from quota_platform.base.models.one_case import OneCase
from tenants import failure, presets, request_template
from tenants.cost import MAX_COST
from tenants.models.connection import Connection
from tenants.models.names import NAME


class Tenant(OneCase):
    """A customer of the platform; what the X-Tenant-Id header names."""

    one_case = "tenant_id"

    class Status(models.TextChoices):
        ACTIVE = "active", "active"
        SUSPENDED = "suspended", "suspended"

    tenant_id = models.CharField("tenant ID", max_length=64, unique=True, validators=[NAME])
    name = models.CharField(max_length=120)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTIVE)
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="tenants")
    envelope = models.BooleanField(
        "response envelope",
        default=False,
        help_text="Wrap responses as {status, data, latency_ms, adaptive_multiplier}.",
    )
    accept_unlisted_actions = models.BooleanField(
        default=False, help_text="Invoke action IDs that are not registered here, with default settings."
    )
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    history = HistoricalRecords()

    class Meta:
        ordering = ["tenant_id"]
        permissions = [("see_every_tenant", "Can see every tenant, a member or not")]
        indexes = [models.Index(Lower("tenant_id"), name="tenant_id_whatever_its_case")]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=["active", "suspended"]), name="tenant_status_known")
        ]

    def __str__(self) -> str:
        return self.tenant_id

    def clean(self) -> None:
        self._check_kinds()
        row_faults.check(self)

    def _check_kinds(self) -> None:
        if self.pk is None or self.connection_id is None:
            return
        preset = self.connection.preset
        if unfit := self.actions.exclude(kind__in=presets.PRESETS[preset].kinds).first():
            said = _("{action} is of kind {kind}, which a connection of preset {preset} cannot invoke.")
            raise ValidationError({"connection": said.format(action=unfit, kind=unfit.kind, preset=preset)})


def kind_choices() -> list[tuple[str, Promise]]:
    """All that there are; a migration names this function."""
    return [(key, gettext_lazy(kind.label)) for key, kind in presets.KINDS.items()]


class Action(OneCase):
    """A named thing a tenant may invoke; maps ``action_id`` to a real upstream call.

    A blank field takes what the kind says (:mod:`tenants.presets`).
    """

    one_case = "action_id"
    one_case_in = ("tenant_id",)

    class Method(models.TextChoices):
        GET = "GET"
        POST = "POST"
        PUT = "PUT"
        PATCH = "PATCH"
        DELETE = "DELETE"

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="actions")
    action_id = models.CharField("action ID", max_length=128, validators=[NAME])
    kind = models.CharField(max_length=16, choices=kind_choices, default="webaction")
    enabled = models.BooleanField(default=True)
    cost = models.PositiveIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text="Units one call takes.",
    )
    cost_from = models.CharField(
        "cost from",
        max_length=json_pointer.MAX_CHARS,
        blank=True,
        default="",
        db_default="",
        help_text="JSON Pointer into the payload, e.g. /messages: the cost is then for each item of the list there, or"
        " times the number there. Blank: every call takes the same.",
    )
    min_cost = models.PositiveIntegerField(
        default=1,
        db_default=1,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_COST)],
        help_text="Of a cost from the payload: a smaller one counts as this.",
    )
    max_cost = models.PositiveIntegerField(
        default=MAX_COST,
        db_default=MAX_COST,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_COST)],
        help_text="Of a cost from the payload: a larger one counts as this.",
    )
    cost_without = models.PositiveIntegerField(
        "cost without",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_COST)],
        help_text="Units of a call without a list or a number there. Empty: it is refused with 422.",
    )
    timeout_ms = models.PositiveIntegerField(
        "timeout (ms)",
        default=30_000,
        validators=[MinValueValidator(10), MaxValueValidator(300_000)],
        help_text="Repeats included; the connection's deadline holds as well.",
    )
    idempotent = models.BooleanField(default=False, help_text="A call whose outcome is unknown may be repeated.")
    method = models.CharField(max_length=8, choices=Method.choices, blank=True, help_text="Blank: POST.")
    path_template = models.CharField(
        "path",
        max_length=500,
        blank=True,
        help_text="Under the base URL, e.g. /orders/{orderId}; {name} takes that key of the payload.",
    )
    query_template = models.JSONField(
        "query",
        default=dict,
        blank=True,
        help_text='Parameters of the URL, e.g. {"expand": "{expand}"}; a key that the payload lacks is left out.',
    )
    param_map = models.JSONField(
        "parameters",
        default=list,
        blank=True,
        help_text='Payload keys in the order the script expects them, e.g. ["customerId", "language"].',
    )
    success_statuses = models.JSONField(
        default=list,
        blank=True,
        help_text="Statuses that count as success. Blank: 200, 201, 202 and 204.",
    )
    failure_at = models.CharField(
        "failure at",
        max_length=json_pointer.MAX_CHARS,
        blank=True,
        default="",
        db_default="",
        help_text="JSON Pointer into the body of a 2xx response, e.g. /error, by which a failure is found. Blank: a 2xx"
        " response is none.",
    )
    failure_when = models.CharField(
        "is a failure if",
        max_length=8,
        choices=failure.When.choices,
        default=failure.When.FILLED.value,
        db_default=failure.When.FILLED.value,
        help_text="null, false, 0 and anything empty count as no value.",
    )
    failure_values = models.JSONField(
        "values compared",
        default=list,
        blank=True,
        db_default=[],
        help_text='E.g. ["ERROR", "REJECTED"].',
    )
    failure_counts_as = models.CharField(
        "a failure counts as",
        max_length=8,
        choices=failure.CountsAs.choices,
        default=failure.CountsAs.ERROR.value,
        db_default=failure.CountsAs.ERROR.value,
        help_text="A call that was turned away did not run: it is given back, and repeated.",
    )
    skill_id = models.CharField("skill ID", max_length=32, blank=True)
    script_path = models.CharField(max_length=255, blank=True, help_text=r"As Studio shows it, e.g. Folder\Script.")
    script_id = models.CharField("script ID", max_length=32, blank=True)
    point_of_contact = models.CharField(max_length=255, blank=True, help_text="Its friendly name, not its GUID.")
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
            models.CheckConstraint(
                condition=Q(min_cost__gte=1, max_cost__gte=F("min_cost"), max_cost__lte=MAX_COST)
                & (Q(cost_without__isnull=True) | Q(cost_without__gte=1, cost_without__lte=MAX_COST)),
                name="action_cost_bounds_in_order",
                violation_error_message="Give a largest cost of at most 1,000 and not below the smallest one.",
            ),
            models.CheckConstraint(
                condition=~Q(kind="rest") | ~Q(path_template=""),
                name="action_rest_has_path",
                violation_error_message="A REST call needs a path.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant.tenant_id}/{self.action_id}"

    def clean(self) -> None:
        if self.kind not in presets.KINDS:
            return  # the field's own error says so
        errors = (
            dict(self._missing())
            | dict(self._wrong_templates())
            | dict(self._wrong_costs())
            | dict(failure.faults(self))
        )
        if self.tenant_id is not None and (wrong := self._unfit(self.tenant.connection.preset)):
            errors["kind"] = wrong
        if not _are_statuses(self.success_statuses):
            errors["success_statuses"] = _("Write a list of distinct HTTP statuses, e.g. [200, 202].")
        if errors:
            raise ValidationError(errors)

    def _unfit(self, preset: str) -> str:
        kinds = presets.PRESETS[preset].kinds
        if self.kind in kinds:
            return ""
        said = _("The connection's preset {preset} invokes only {kinds}.")
        return said.format(preset=preset, kinds=", ".join(kinds))

    def _missing(self) -> Iterator[tuple[str, str]]:
        for field in presets.KINDS[self.kind].required:
            if not getattr(self, field):
                yield field, _("An action of kind {kind} needs this field.").format(kind=self.kind)
        if self.kind == "script_start" and not (self.script_path or self.script_id):
            yield "script_path", _("Enter the script's path or its ID.")
        if self.kind == "signal" and self.path_template:
            yield "path_template", _("Leave the path blank: a signal goes to the contactId of the payload.")

    def _wrong_costs(self) -> Iterator[tuple[str, str]]:
        if self.cost_from:
            try:
                json_pointer.tokens(self.cost_from)
            except json_pointer.PointerWrong as error:
                yield "cost_from", str(error)
        if None not in (self.min_cost, self.max_cost) and self.max_cost < self.min_cost:
            yield "max_cost", _("Give a largest cost that is not below the smallest one.")

    def _wrong_templates(self) -> Iterator[tuple[str, str]]:
        most = 9 if self.kind == "signal" else 32
        checks: tuple[tuple[str, Callable[[], None]], ...] = (
            ("path_template", lambda: request_template.check_path(self.path_template or "/")),
            ("query_template", lambda: request_template.check_query(self.query_template)),
            ("param_map", lambda: request_template.check_keys(self.param_map, most=most)),
        )
        for field, check in checks:
            try:
                check()
            except request_template.TemplateWrong as error:
                yield field, str(error)


def _are_statuses(value: object) -> bool:
    if not isinstance(value, list) or len(set(map(str, value))) != len(value):
        return False
    return all(type(status) is int and 200 <= status <= 599 for status in value)
