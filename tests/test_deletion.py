"""Each model is deleted with each combination of what hangs on it, through every door, and the record says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, combinations
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from rest_framework.authtoken.models import Token

from limiter.models import (
    AlertDelivery,
    AlertHook,
    Assignment,
    AuditEntry,
    Export,
    Override,
    QuotaPolicy,
    ReportMail,
    ReportSchedule,
)
from tenants.models import Action, ApiKey, Connection, Membership, Preferences, Tenant
from tests.api_client import signed_in
from tests.filled_form import filled_form
from tests.rows import (
    MAKE,
    a_hook,
    a_key,
    a_limit,
    a_membership,
    a_person,
    a_platform_key,
    a_schedule,
    a_tenant,
    a_token,
    an_action,
    an_assignment,
    an_entry,
    an_export,
    an_override,
    put,
)

pytestmark = pytest.mark.django_db
Make = Callable[[Any], Any]


@pytest.fixture(autouse=True)
def _connection(connection: Connection) -> None:
    """Tenants need one."""


CHILDREN: dict[tuple[type[Model], str, str], Make] = {
    (Tenant, "Action", "tenant"): an_action,
    (Tenant, "ApiKey", "tenant"): a_key,
    (Tenant, "ApiKey", "acts_for"): a_platform_key,
    (Tenant, "Membership", "tenant"): lambda tenant: a_membership(a_person(), tenant),
    (Tenant, "Assignment", "tenant"): lambda tenant: an_assignment(tenant=tenant),
    (Tenant, "Override", "tenant"): an_override,
    (Tenant, "AlertHook", "tenant"): a_hook,
    (Action, "Assignment", "action"): lambda action: an_assignment(action=action),
    (Action, "Override", "action"): lambda action: an_override(action.tenant, action=action),
    (QuotaPolicy, "QuotaLimit", "policy"): a_limit,
    (AlertHook, "AlertDelivery", "hook"): lambda hook: put(AlertDelivery(hook=hook, event="alert.test", body="{}")),
    (ReportSchedule, "Export", "schedule"): lambda schedule: an_export(schedule=schedule),
    (Export, "ReportMail", "export"): lambda export: put(ReportMail(export=export, address="a@example.com")),
    (User, "Membership", "user"): lambda person: a_membership(person, a_tenant()),
    (User, "LogEntry", "user"): an_entry,
    (User, "Token", "user"): lambda person: put(Token(user=person, key="0" * 40)),
    (User, "ApiToken", "user"): a_token,
    (User, "Preferences", "user"): lambda person: put(Preferences(user=person, language="de")),
    (User, "EmailAddress", "user"): lambda person: put(EmailAddress(user=person, email="ana@example.com")),
    (User, "Authenticator", "user"): lambda person: put(Authenticator(user=person, type="totp", data={})),
    (User, "SocialAccount", "user"): lambda person: put(SocialAccount(user=person, provider="sso", uid="1")),
    (User, "Export", "requested_by"): lambda person: an_export(requested_by=person),
    (User, "ReportSchedule", "owner"): lambda person: a_schedule(owner=person, owner_name="ana"),
    (Group, "User", "groups"): lambda group: a_person().groups.add(group),
    (Group, "Group_permissions", "group"): lambda group: group.permissions.add(Permission.objects.earliest("pk")),
}
PROTECTED = {(Connection, "Tenant", "connection"), (QuotaPolicy, "Assignment", "policy")}


def kinds(model: type[Model]) -> list[tuple[type[Model], str, str]]:
    return [kind for kind in CHILDREN if kind[0] is model]


def each(model: type[Model]) -> Iterator[tuple[tuple[type[Model], str, str], ...]]:
    """Every combination of children, none among them; of many kinds, those of few or of nearly all."""
    found = kinds(model)
    counts = [count for count in range(len(found) + 1) if len(found) <= 5 or count <= 2 or count >= len(found) - 1]
    return chain.from_iterable(combinations(found, count) for count in counts)


def some(model: type[Model]) -> list[tuple[tuple[type[Model], str, str], ...]]:
    """None, all, and all but the first: rows behind a door are the same as before it."""
    return list(dict.fromkeys([(), tuple(kinds(model)), tuple(kinds(model)[1:])]))


def made(model: type[Model], wanted: Any) -> Any:
    """A row with these children; some of them have children of their own."""
    row = MAKE[model]()
    for kind in wanted:
        CHILDREN[kind](row)
    if model is Tenant and (action := row.actions.first()) is not None:
        an_override(row, action=action)
    return row


def gone(model: type[Model], pk: Any) -> bool:
    return not model._default_manager.filter(pk=pk).exists()


def test_every_relation_to_a_model_that_can_be_deleted_stands_in_the_tables() -> None:
    relations = {
        (model, field.model.__name__, field.name)
        for model in MAKE
        for other in apps.get_models()
        for field in (*other._meta.fields, *other._meta.many_to_many)
        if field.related_model is model and not other.__name__.startswith("Historical")
    }
    assert relations <= {*CHILDREN, *PROTECTED}


@pytest.mark.parametrize("model", MAKE, ids=lambda model: model.__name__)
def test_a_row_goes_with_each_combination_of_children(model: type[Model]) -> None:
    for wanted in each(model):
        with transaction.atomic():
            row = made(model, wanted)
            pk = row.pk
            row.delete()
            assert gone(model, pk), wanted
            transaction.set_rollback(True)


@pytest.mark.parametrize("model", MAKE, ids=lambda model: model.__name__)
def test_many_rows_go_at_once(model: type[Model]) -> None:
    row = made(model, kinds(model))
    model._default_manager.filter(pk=row.pk).delete()
    assert gone(model, row.pk)


IN_ADMIN = [
    Connection,
    Tenant,
    Action,
    ApiKey,
    QuotaPolicy,
    Assignment,
    Override,
    AlertHook,
    ReportSchedule,
    User,
    Group,
]


@pytest.mark.parametrize("model", IN_ADMIN, ids=lambda model: model.__name__)
@pytest.mark.parametrize("many", [False, True], ids=["one", "selected"])
def test_the_admin_deletes_a_row_with_its_children(model: type[Model], many: bool, admin_user: User) -> None:
    browser = Client()
    browser.force_login(admin_user)
    for wanted in some(model):
        with transaction.atomic():
            pk = made(model, wanted).pk
            place = f"admin:{model._meta.app_label}_{model._meta.model_name}"
            if many:
                url = reverse(f"{place}_changelist")
                asked = browser.post(url, {"action": "delete_selected", "_selected_action": [pk]})
            else:
                url = reverse(f"{place}_delete", args=[pk])
                asked = browser.get(url)
            response = browser.post(url, filled_form(asked.content))
            assert response.status_code == 302 and gone(model, pk), (wanted, response.content)
            transaction.set_rollback(True)


BY_API = {
    Connection: ("connections", "name"),
    Tenant: ("tenants", "tenant_id"),
    Action: ("actions", "pk"),
    QuotaPolicy: ("policies", "pk"),
    Assignment: ("assignments", "pk"),
    Override: ("overrides", "pk"),
    AlertHook: ("alert-hooks", "pk"),
    ReportSchedule: ("report-schedules", "pk"),
}


@pytest.mark.parametrize("model", BY_API, ids=lambda model: model.__name__)
def test_the_api_deletes_a_row_with_its_children(model: type[Model], admin_user: User) -> None:
    client = signed_in(admin_user)
    for wanted in some(model):
        with transaction.atomic():
            row = made(model, wanted)
            pk, (route, key) = row.pk, BY_API[model]
            response = client.delete(f"/api/{route}/{getattr(row, key)}/")
            assert response.status_code == 204 and gone(model, pk), (wanted, response.content)
            transaction.set_rollback(True)


def test_the_record_names_the_tenant_and_the_rows_that_went_with_it(acme: Tenant) -> None:
    acme.actions.all().delete()
    a_key(acme)
    an_assignment(tenant=acme)
    a_hook(acme)
    a_membership(a_person(), acme)
    acme.delete()
    entries = AuditEntry.objects.filter(kind__endswith=".deleted")
    data = {entry.kind: (entry.tenant_id, entry.payload["name"]) for entry in entries}
    assert data["key.deleted"] == ("acme", "IVR")
    assert data["membership.deleted"] == ("acme", "ana")
    assert data["assignment.deleted"] == ("acme", "")
    assert data["alert_hook.deleted"] == ("acme", "On-call")


def test_a_person_who_deletes_their_own_account_leaves_no_broken_reference(admin_user: User, acme: Tenant) -> None:
    Membership.objects.create(user=admin_user, tenant=acme)
    browser = Client()
    browser.force_login(admin_user)
    url = reverse("admin:auth_user_delete", args=[admin_user.pk])
    response = browser.post(url, filled_form(browser.get(url).content))
    assert response.status_code == 302 and gone(User, admin_user.pk)
    entry = AuditEntry.objects.get(kind="membership.deleted")
    assert (entry.actor, entry.payload["name"]) == ("root", "root")
