"""The events of policies: a new version is in force, and a limit counts as many values of calls as it may."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import Exists, Q, QuerySet
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from limiter.policies import values_in_use, versions
from limiter.policies.models import Assignment, QuotaPolicy
from limiter.policies.values_in_use import Valued
from limiter.policies.versions import Difference
from quota_platform.base import records
from quota_platform.base.events import Condition, Data, EventType, Lasting, Occurrence
from tenants.models import Tenant

_MAX_CHANGES = 20
_MAX_VALUE = 200


class _Published(EventType):
    """Its facts are the values that changed."""

    __slots__ = ()

    def facts_of(self, data: Data) -> Iterator[tuple[str, str]]:
        for each in data["changes"]:
            yield each["field"], f"{each['before'] or '-'} → {each['after'] or '-'}"
        for label, value in (("By", data["by"]), ("Reason", data["reason"])):
            if value:
                yield label, value


def _published(since: datetime, until: datetime) -> Iterator[Occurrence]:
    """One for each version, though an edit may write its policy's row more than once."""
    rows = QuotaPolicy.history.filter(history_date__gte=since, history_date__lte=until).exclude(history_type="-")
    for record in rows.select_related("history_user").order_by("history_id"):
        yield Occurrence(
            key=f"{record.id}:{record.version}",
            at=record.history_date,
            data=partial(_data, record),
            tenants=_under(record.id),
        )


def _data(record: Any) -> Data:
    return {
        "policy_id": record.id,
        "policy": record.name,
        "policy_version": record.version,
        "by": records.editor(record),
        "reason": records.reason(record),
        "changes": [_change(each) for each in _differences(record.id, record.version)],
    }


def _differences(policy_id: int, version: int) -> list[Difference]:
    """Between a version and the one before; of a first one its limits."""
    old, new = versions.version_of(policy_id, version - 1), versions.version_of(policy_id, version)
    if new is None:
        return []
    with translation.override("en"):
        own = versions.policy_differences(old.policy, new.policy) if old else []
        return [*own, *versions.limit_differences(old.limits if old else (), new.limits)][:_MAX_CHANGES]


def _change(found: Difference) -> dict[str, str]:
    return {"field": found.field, "before": found.old[:_MAX_VALUE], "after": found.new[:_MAX_VALUE]}


def _under(policy_id: int) -> QuerySet[Tenant]:
    """The tenants that the policy is assigned to, or one of whose actions it is; all under everyone's policy."""
    given = Assignment.objects.filter(policy=policy_id)
    return Tenant.objects.filter(
        Exists(given.filter(target=Assignment.Target.DEFAULT))
        | Q(pk__in=given.filter(tenant__isnull=False).values("tenant"))
        | Q(pk__in=given.filter(action__isnull=False).values("action__tenant"))
    )


def _full() -> Iterable[Condition] | None:
    found = values_in_use.full()
    return None if found is None else [_condition(each, count) for each, count in found]


def _condition(of: Valued, count: int) -> Condition:
    limit, subject = of
    return Condition(
        key=f"{subject.tenant}|{subject.action}|{limit.name}",
        data={
            "tenant_id": subject.tenant,
            "action_id": subject.action,
            "limit": limit.name,
            "counted_by": limit.counted_by,
            "values": count,
            "policy": limit.policy_name,
            "policy_version": limit.policy_version,
        },
        tenants=Tenant.objects.filter(tenant_id=subject.tenant),
    )


_FULL = {
    "tenant_id": "acme",
    "action_id": "",
    "limit": "contact",
    "counted_by": "/contactId",
    "values": 1000,
    "policy": "Base",
    "policy_version": 4,
    "since": "2026-11-25T10:30:00+00:00",
    "url": "https://quota.example.com/dashboard/tenants/acme/",
}
_FACTS = {
    "Tenant": "tenant_id",
    "Action": "action_id",
    "Counted by": "counted_by",
    "Values": "values",
    "Policy": "policy",
    "Since": "since",
}

TYPES = (
    EventType(
        name="values.full",
        label=_("limit counts as many values as it may"),
        title="Limit {limit} of {tenant_id} counts {values} values, as many as it may: new ones are counted together",
        subject="{tenant_id}",
        facts=_FACTS,
        severity="warning",
        incident="quota-values-{tenant_id}-{action_id}-{limit}",
        example=_FULL,
        page="/dashboard/tenants/{tenant_id}/",
        lasting=Lasting(now=_full),
    ),
    EventType(
        name="values.free",
        label=_("limit counts new values again"),
        title="Over: limit {limit} of {tenant_id} counts new values again",
        subject="{tenant_id}",
        facts={**_FACTS, "Until": "until"},
        incident="quota-values-{tenant_id}-{action_id}-{limit}",
        ends="values.full",
        example={**_FULL, "until": "2026-11-25T10:41:00+00:00"},
        page="/dashboard/tenants/{tenant_id}/",
    ),
    _Published(
        name="policy.published",
        label=_("policy published"),
        title="Policy {policy} has version {policy_version}",
        subject="{policy}",
        page="/admin/limiter/quotapolicy/{policy_id}/change/",
        find=_published,
        example={
            "tenant_id": None,
            "policy_id": 3,
            "policy": "Base",
            "policy_version": 4,
            "by": "ana",
            "reason": "Quieter nights",
            "changes": [{"field": "Limit minute: limit", "before": "100", "after": "80"}],
            "url": "https://quota.example.com/admin/limiter/quotapolicy/3/change/",
        },
    ),
)
