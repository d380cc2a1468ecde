"""Who a policy applies to."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext as _
from simple_history.models import HistoricalRecords

from limiter.policies.models.policy import QuotaPolicy
from quota_platform.base import row_faults
from quota_platform.base.models.published import Published
from tenants.models import Action, Tenant


class Assignment(Published):
    """Policy → everyone (the default), a tenant, or an action."""

    class Target(models.TextChoices):
        DEFAULT = "default", "everyone"
        TENANT = "tenant", "a tenant"
        ACTION = "action", "an action"

    policy = models.ForeignKey(QuotaPolicy, on_delete=models.PROTECT, related_name="assignments")
    target = models.CharField(max_length=8, choices=Target.choices)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, null=True, blank=True, related_name="assignments")
    action = models.ForeignKey(Action, on_delete=models.CASCADE, null=True, blank=True, related_name="assignments")

    history = HistoricalRecords()

    class Meta:
        ordering = ["target", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(target="default", tenant__isnull=True, action__isnull=True)
                | Q(target="tenant", tenant__isnull=False, action__isnull=True)
                | Q(target="action", tenant__isnull=True, action__isnull=False),
                name="assignment_names_its_target",
                violation_error_message="Choose exactly the tenant or the action that the target calls for.",
            ),
            models.UniqueConstraint(
                fields=["target"],
                condition=Q(target="default"),
                name="assignment_one_default",
                violation_error_message="Everyone has a policy already; change that assignment instead.",
            ),
            models.UniqueConstraint(
                fields=["tenant"],
                condition=Q(target="tenant"),
                name="assignment_one_per_tenant",
                violation_error_message="This tenant has a policy already; change that assignment instead.",
            ),
            models.UniqueConstraint(
                fields=["action"],
                condition=Q(target="action"),
                name="assignment_one_per_action",
                violation_error_message="This action has a policy already; change that assignment instead.",
            ),
        ]

    def __str__(self) -> str:
        target = self.action or self.tenant or _("everyone")
        return f"{self.policy} → {target}"

    def clean(self) -> None:
        wanted = {"tenant": self.Target.TENANT, "action": self.Target.ACTION}
        errors: dict[str, str] = {}
        for field, target in wanted.items():
            chosen = getattr(self, f"{field}_id") is not None
            if chosen and self.target != target:
                errors[field] = _("Leave this empty: the policy is for {target}.").format(
                    target=self.get_target_display()
                )
            elif not chosen and self.target == target:
                errors[field] = _("Choose the tenant.") if field == "tenant" else _("Choose the action.")
        if not errors and (held := self._held_already()):
            errors["target" if self.target == self.Target.DEFAULT else self.target] = held
        if errors:
            raise ValidationError(errors)
        row_faults.check(self)

    def _held_already(self) -> str:
        """As the unique constraints say, but at the field to be changed, and which policy it is."""
        rows = Assignment.objects.filter(target=self.target, tenant=self.tenant_id, action=self.action_id)
        other = rows.exclude(pk=self.pk).select_related("policy").first()
        if other is None:
            return ""
        said = {
            self.Target.DEFAULT: _("Everyone has a policy already ({policy}); change that assignment instead."),
            self.Target.TENANT: _("This tenant has a policy already ({policy}); change that assignment instead."),
            self.Target.ACTION: _("This action has a policy already ({policy}); change that assignment instead."),
        }[self.Target(self.target)]
        return said.format(policy=other.policy)
