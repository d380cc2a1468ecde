"""How one row names another in JSON: by its public name, never by a number, and only one that the person sees."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from quota_platform.base import row_access
from tenants.models import Action, Tenant

MAX_NAMED = 1_000


def seen(field: serializers.Field[Any, Any, Any, Any], rows: QuerySet[Any]) -> QuerySet[Any]:
    """Those of the rows that the person sees; any other counts as one that does not exist."""
    return row_access.seen(rows, field.context["request"].user)


class NameField(serializers.CharField):
    """A row of another model by a unique field of it: ``"tenant": "acme"``."""

    default_error_messages = {"unknown": "There is no {model} “{value}”."}

    def __init__(self, *, queryset: QuerySet[Any], by: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.queryset = queryset
        self.by = by

    def to_internal_value(self, data: Any) -> Any:
        name = super().to_internal_value(data)
        self.run_validators(name)
        row = seen(self, self.queryset.all()).filter(**{self.by: name}).first()
        if row is None:
            self.fail("unknown", model=self.queryset.model._meta.verbose_name, value=name[:128])
        return row

    def run_validators(self, value: Any) -> None:
        # Called once with the name (above) and once by the base class with the row it stands for.
        if not isinstance(value, Model):
            super().run_validators(value)

    def to_representation(self, value: Any) -> str:
        return str(getattr(value, self.by))


class ActionField(serializers.CharField):
    """An action with its tenant: ``"action": "acme/lookupOrder"``. Neither name can hold a slash."""

    default_error_messages = {
        "shape": "Write it as tenant/action, for instance acme/lookupOrder.",
        "unknown": "There is no action “{value}”.",
    }

    def to_internal_value(self, data: Any) -> Any:
        name = super().to_internal_value(data)
        self.run_validators(name)
        tenant_id, slash, action_id = name.partition("/")
        if not (tenant_id and slash and action_id):
            self.fail("shape")
        actions = seen(self, Action.objects.select_related("tenant"))
        row = actions.filter(tenant__tenant_id=tenant_id, action_id=action_id).first()
        if row is None:
            self.fail("unknown", value=name[:200])
        return row

    def run_validators(self, value: Any) -> None:
        if not isinstance(value, Model):
            super().run_validators(value)

    def to_representation(self, value: Any) -> str:
        return f"{value.tenant.tenant_id}/{value.action_id}"


@extend_schema_field({"type": "array", "items": {"type": "string", "maxLength": 64}, "maxItems": MAX_NAMED})
class TenantsField(serializers.Field[list[Tenant], list[str], list[str], Any]):
    """Several tenants by their IDs, found in one query."""

    default_error_messages = {
        "not_a_list": "Give a list of tenant IDs.",
        "too_many": "Name at most {count} tenants.",
        "unknown": "There are no tenants {names}.",
    }

    def to_internal_value(self, data: Any) -> list[Tenant]:
        if not isinstance(data, list) or not all(isinstance(name, str) for name in data):
            self.fail("not_a_list")
        if len(data) > MAX_NAMED:
            self.fail("too_many", count=MAX_NAMED)
        names = {serializers.CharField(max_length=64).run_validation(name) for name in data}
        found = list(seen(self, Tenant.objects.filter(tenant_id__in=names)))
        if missing := sorted(names - {tenant.tenant_id for tenant in found}):
            self.fail("unknown", names=", ".join(missing[:10]))
        return found

    def to_representation(self, value: Any) -> list[str]:
        return sorted(tenant.tenant_id for tenant in value.all())
