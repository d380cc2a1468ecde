"""One row of each model that people edit, made past every hook; what a test does with it is its own affair."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.utils import timezone

from limiter.models import AlertHook, Assignment, Export, Override, QuotaLimit, QuotaPolicy, ReportSchedule
from tenants.models import Action, ApiKey, ApiToken, Connection, Membership, Tenant

M = TypeVar("M", bound=Model)


def put(row: M) -> M:
    """Insert the row and nothing else."""
    type(row)._base_manager.bulk_create([row])
    return row


def a_connection() -> Connection:
    row = Connection(name="spare", is_sandbox=True, base_url="http://127.0.0.1:8801", client_id="demo-client")
    row.set_client_secret("canary-client-secret")
    return put(row)


def a_tenant() -> Tenant:
    return put(Tenant(tenant_id="acme", name="Acme", connection=Connection.objects.earliest("pk")))


def an_action(tenant: Tenant | None = None) -> Action:
    return put(Action(tenant=tenant or a_tenant(), action_id="lookupOrder"))


def a_key(tenant: Tenant | None) -> ApiKey:
    return put(ApiKey(name="IVR", tenant=tenant, prefix="p" * 12 if tenant else "q" * 12, digest="0"))


def a_token(person: User | None = None) -> ApiToken:
    return put(ApiToken(user=person or a_person(), name="nightly report", hint="qt_hint0", digest="0" * 64))


def a_membership(person: User, tenant: Tenant) -> Membership:
    return put(Membership(user=person, tenant=tenant))


def a_person(name: str = "ana") -> User:
    return put(User(username=name, is_staff=True, date_joined=timezone.now().replace(microsecond=0)))


def a_policy() -> QuotaPolicy:
    return put(QuotaPolicy(name="Gold"))


def a_hook(tenant: Tenant | None = None) -> AlertHook:
    return put(AlertHook(name="On-call", tenant=tenant, url="https://hooks.example.com/"))


def an_export(**fields: Any) -> Export:
    now = timezone.now()
    return put(Export(kind="events", format="jsonl", since=now - timedelta(days=1), until=now, **fields))


def a_schedule(**fields: Any) -> ReportSchedule:
    return put(ReportSchedule(name="Week", kind="summary", format="pdf", **fields))


def an_override(tenant: Tenant, **fields: Any) -> Override:
    start = timezone.now().replace(microsecond=0)
    return put(
        Override(
            tenant=tenant,
            effect="factor",
            factor=2,
            starts_at=start,
            ends_at=start + timedelta(hours=1),
            reason="campaign",
            **fields,
        )
    )


def an_assignment(**fields: Any) -> Assignment:
    target = "action" if "action" in fields else "tenant"
    return put(Assignment(policy=a_policy(), target=target, **fields))


def a_limit(policy: QuotaPolicy) -> QuotaLimit:
    return put(QuotaLimit(policy=policy, name="minute", quota=5, window_seconds=60))


def a_platform_key(tenant: Tenant) -> ApiKey:
    key = a_key(None)
    key.acts_for.add(tenant)
    return key


def an_entry(person: User) -> LogEntry:
    about = ContentType.objects.get_for_model(User)
    return put(LogEntry(user=person, content_type=about, object_id="1", action_flag=2))


MAKE: dict[type[Model], Callable[[], Any]] = {
    Connection: lambda: a_connection(),
    Tenant: lambda: a_tenant(),
    Action: lambda: an_action(),
    ApiKey: lambda: a_key(a_tenant()),
    ApiToken: lambda: a_token(),
    Membership: lambda: a_membership(a_person(), a_tenant()),
    QuotaPolicy: lambda: a_policy(),
    QuotaLimit: lambda: a_limit(a_policy()),
    Assignment: lambda: an_assignment(tenant=a_tenant()),
    Override: lambda: an_override(a_tenant()),
    AlertHook: lambda: a_hook(a_tenant()),
    ReportSchedule: lambda: a_schedule(owner=a_person(), owner_name="ana"),
    Export: lambda: an_export(),
    User: lambda: a_person(),
    Group: lambda: put(Group(name="night shift")),
}
"""One of each; tenants need a connection that is there."""
