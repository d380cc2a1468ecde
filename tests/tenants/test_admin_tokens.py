"""Tokens of the management API in the admin: a person's own, shown once, bounded in time, revoked."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tenants.models import ApiToken, Tenant
from tests.people import browser, member

pytestmark = pytest.mark.django_db
LIST, ADD = "/admin/tenants/apitoken/", "/admin/tenants/apitoken/add/"


def make(client: Client, **more: str) -> str:
    ends = timezone.now() + timedelta(days=30)
    given = {"name": "nightly report", "scope": "read", "expires_at_0": f"{ends:%Y-%m-%d}", "expires_at_1": "00:00:00"}
    return client.post(ADD, {**given, **more}).content.decode()


def test_a_token_is_shown_once_and_belongs_to_its_maker(acme: Tenant) -> None:
    ana = member("ana", acme)
    page = make(browser(ana), user=str(User.objects.create_superuser("root").pk))
    row = ApiToken.objects.get()
    assert (row.user, row.scope, row.created_by) == (ana, "read", "ana")
    token = re.findall(r"qt_[\w-]{43}", page)
    assert ApiToken.objects.presented(token[0]) == row and "never again" in page
    for later in ("change", "history"):
        assert token[0] not in browser(ana).get(f"{LIST}{row.pk}/{later}/").content.decode()


def test_a_superuser_makes_one_for_the_account_of_a_program(admin_user: User) -> None:
    program = User.objects.create_user("exporter")
    make(browser(admin_user), user=str(program.pk))
    assert ApiToken.objects.get().user == program


def test_a_person_sees_no_token_of_another(acme: Tenant) -> None:
    ana, ben = member("ana", acme), member("ben", acme)
    row = ApiToken.objects.issue(user=ben, name="bens own")[0]
    assert "bens own" not in browser(ana).get(LIST).content.decode()
    assert browser(ana).get(f"{LIST}{row.pk}/change/").status_code in (302, 404)
    browser(ana).post(LIST, {"action": "revoke_selected", "_selected_action": [row.pk]})
    row.refresh_from_db()
    assert row.revoked_at is None


@pytest.mark.parametrize(("days", "said"), [(-1, "a moment to come"), (400, "within a year"), (None, "required")])
def test_a_token_ends_within_a_year(acme: Tenant, days: int | None, said: str) -> None:
    day = "" if days is None else f"{timezone.now() + timedelta(days=days):%Y-%m-%d}"
    assert said in make(browser(member("ana", acme)), expires_at_0=day)
    assert not ApiToken.objects.exists()


def test_a_person_revokes_their_own_and_cannot_widen_it(acme: Tenant) -> None:
    ana = member("ana", acme)
    row = ApiToken.objects.issue(user=ana, name="report", scope="read")[0]
    page = browser(ana).get(f"{LIST}{row.pk}/change/").content.decode()
    assert 'name="name"' in page and 'name="scope"' not in page and 'name="expires_at_0"' not in page
    browser(ana).post(LIST, {"action": "revoke_selected", "_selected_action": [row.pk]})
    row.refresh_from_db()
    assert row.revoked_at is not None
