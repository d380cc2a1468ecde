"""An empty platform leads its first administrator to the first call."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from limiter.models import Assignment, QuotaPolicy
from quota_platform.first_steps import first_steps
from tenants.models import Action, ApiKey, Connection, Tenant
from tests.people import browser, member

pytestmark = pytest.mark.django_db
FORMS = [
    f"/admin/{model}/add/"
    for model in (
        "tenants/connection",
        "tenants/tenant",
        "tenants/action",
        "limiter/quotapolicy",
        "limiter/assignment",
        "tenants/apikey",
    )
]


def done(person: User) -> list[bool]:
    return [step.done for step in first_steps(person)]


def test_an_empty_platform_lists_the_steps_to_the_first_call_with_their_forms(admin_client: Client) -> None:
    html = admin_client.get("/admin/").content.decode()
    assert "First steps" in html
    places = [html.index(f'href="{form}"') for form in FORMS]
    assert places == sorted(places)
    assert all(admin_client.get(form).status_code == 200 for form in FORMS)


def test_a_step_that_was_taken_is_marked_as_done(admin_user: User, acme: Tenant) -> None:
    assert done(admin_user) == [True, True, True, False, False, False]


def test_the_steps_go_with_the_last_one(
    admin_user: User, admin_client: Client, acme: Tenant, base_policy: QuotaPolicy
) -> None:
    assert done(admin_user) == [True, True, True, True, True, False]
    ApiKey.objects.issue(name="IVR", tenant=acme)
    assert done(admin_user) == []
    assert "First steps" not in admin_client.get("/admin/").content.decode()


def test_a_tenant_that_accepts_unlisted_actions_needs_none(admin_user: User, acme: Tenant) -> None:
    Action.objects.all().delete()
    assert done(admin_user)[2] is False
    Tenant.objects.update(accept_unlisted_actions=True)
    assert done(admin_user)[2] is True


def test_a_person_who_cannot_make_tenants_gets_no_steps(acme: Tenant) -> None:
    ana = member("ana", acme)
    assert not Assignment.objects.exists() and first_steps(ana) == []
    assert "First steps" not in browser(ana).get("/admin/").content.decode()


@pytest.mark.parametrize("page", ["/dashboard/", "/dashboard/tenants/", "/dashboard/connections/"])
def test_a_page_without_a_tenant_leads_an_administrator_to_the_first_steps(admin_client: Client, page: str) -> None:
    html = admin_client.get(page).content.decode()
    assert "To the first steps" in html and "You are not a member" not in html


@pytest.mark.parametrize("page", ["/dashboard/", "/dashboard/tenants/", "/dashboard/connections/"])
def test_a_page_without_a_tenant_refers_others_to_an_administrator(page: str) -> None:
    html = browser(member("ana")).get(page).content.decode()
    assert "Ask an administrator for a membership." in html and "To the first steps" not in html


def test_the_overview_has_no_such_words_once_there_is_a_tenant(admin_client: Client, acme: Tenant) -> None:
    assert Connection.objects.exists()
    assert 'id="no-tenant"' not in admin_client.get("/dashboard/").content.decode()
