"""Somebody who may edit users gives no right that they lack, and takes over no account that has more."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q
from django.test import Client
from django.urls import reverse

from limiter.models import AuditEntry
from tenants.models import Membership, Tenant
from tests.filled_form import filled_form
from tests.people import browser, member

pytestmark = pytest.mark.django_db
RIGHTS = (
    "add_user",
    "change_user",
    "delete_user",
    "view_user",
    "add_group",
    "change_group",
    "delete_group",
    "view_group",
)
NEW_PASSWORD = {"password1": "another-long-password", "password2": "another-long-password"}


def permission(codename: str) -> Permission:
    return Permission.objects.get(codename=codename)


@pytest.fixture
def manager(acme: Tenant) -> User:
    """Manages users and groups of Acme, and may do nothing else."""
    user = User.objects.create_user("manager", password="a-long-test-password", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=RIGHTS))
    Membership.objects.create(user=user, tenant=acme)
    return user


@pytest.fixture
def page(manager: User) -> Client:
    return browser(manager)


def save(page: Client, row: User | Group, **changed: Any) -> Any:
    name = "user" if isinstance(row, User) else "group"
    return submit(page, reverse(f"admin:auth_{name}_change", args=[row.pk]), **changed)


def submit(page: Client, url: str, **changed: Any) -> Any:
    """Post the form of a page as it is shown, with these fields changed."""
    return page.post(url, {**filled_form(page.get(url).content), **changed})


def test_a_user_manager_does_not_become_a_superuser(page: Client, manager: User) -> None:
    save(page, manager, is_superuser="on")
    manager.refresh_from_db()
    assert not manager.is_superuser


@pytest.mark.parametrize("others", [False, True], ids=["themself", "another"])
def test_a_permission_is_given_by_those_who_have_it(page: Client, manager: User, others: bool) -> None:
    person = User.objects.create_user("ben", password="a-long-test-password") if others else manager
    lacking, held = permission("change_quotapolicy"), permission("view_user")
    refused = save(page, person, user_permissions=[held.pk, lacking.pk])
    assert "user_permissions" in refused.context["adminform"].form.errors
    if others:
        assert save(page, person, user_permissions=[held.pk]).status_code == 302
        assert list(person.user_permissions.all()) == [held]


def test_a_group_is_given_by_those_who_have_all_its_rights(page: Client) -> None:
    person = User.objects.create_user("ben", password="a-long-test-password")
    more, same = Group.objects.create(name="More"), Group.objects.create(name="Same")
    more.permissions.add(permission("change_quotapolicy"), permission("view_user"))
    same.permissions.add(permission("view_user"))
    assert "groups" in save(page, person, groups=[more.pk]).context["adminform"].form.errors
    assert save(page, person, groups=[same.pk]).status_code == 302


def more_rights(acme: Tenant, globex: Tenant) -> dict[str, User]:
    switched_off = member("off", acme)
    User.objects.filter(pk=switched_off.pk).update(is_active=False)
    elsewhere = User.objects.create_user("eve", password="a-long-test-password", is_staff=True)
    Membership.objects.create(user=elsewhere, tenant=globex)
    root = User.objects.create_superuser("boss", "boss@example.com", "a-long-test-password")
    return {"more rights": member("ana", acme), "switched off": switched_off, "elsewhere": elsewhere, "root": root}


@pytest.mark.parametrize("who", ["more rights", "switched off", "elsewhere", "root"])
def test_an_account_with_more_is_neither_edited_nor_deleted_nor_given_a_password(
    page: Client, acme: Tenant, globex: Tenant, who: str
) -> None:
    person = more_rights(acme, globex)[who]
    before = User.objects.filter(pk=person.pk).values().get()
    submit(page, reverse("admin:auth_user_change", args=[person.pk]), username="mine", is_active="on")
    submit(page, reverse("admin:auth_user_password_change", args=[person.pk]), **NEW_PASSWORD)
    submit(page, reverse("admin:auth_user_delete", args=[person.pk]), post="yes")
    chosen = {"action": "delete_selected", "_selected_action": [person.pk], "post": "yes"}
    page.post(reverse("admin:auth_user_changelist"), chosen)
    assert User.objects.filter(pk=person.pk).values().first() == before


def test_a_group_with_more_rights_is_left_alone_and_none_are_added_to_another(page: Client) -> None:
    more, same = Group.objects.create(name="More"), Group.objects.create(name="Same")
    more.permissions.add(permission("change_quotapolicy"))
    lacking = permission("change_quotapolicy")
    assert page.post(reverse("admin:auth_group_change", args=[more.pk]), {"name": "Mine"}).status_code == 403
    assert page.post(reverse("admin:auth_group_delete", args=[more.pk]), {"post": "yes"}).status_code == 403
    assert "permissions" in save(page, same, permissions=[lacking.pk]).context["adminform"].form.errors


def test_an_account_of_the_own_tenant_with_fewer_rights_is_managed(page: Client, acme: Tenant) -> None:
    person = User.objects.create_user("ben", password="a-long-test-password")
    Membership.objects.create(user=person, tenant=acme)
    assert save(page, person, first_name="Ben").status_code == 302
    person.refresh_from_db()
    assert person.first_name == "Ben"


def test_a_superuser_manages_everybody(admin_user: User, acme: Tenant, globex: Tenant) -> None:
    for person in more_rights(acme, globex).values():
        assert save(browser(admin_user), person, is_superuser="on").status_code == 302
        person.refresh_from_db()
        assert person.is_superuser


@pytest.mark.parametrize("make", [lambda: member("ben"), lambda: Group.objects.create(name="Night shift")])
def test_the_entries_for_an_account_or_group_that_was_deleted_are_not_lost(page: Client, make: Any) -> None:
    row = make()
    if isinstance(row, User):
        row.user_permissions.clear()
    name = "user" if isinstance(row, User) else "group"
    field = "first_name" if isinstance(row, User) else "name"
    url = reverse(f"admin:auth_{name}_change", args=[row.pk])
    entries = {**filled_form(page.get(url).content), field: "typed meanwhile"}
    type(row)._base_manager.filter(pk=row.pk).delete()
    response = page.post(url, entries)
    assert response.status_code == 404 and b"<strong>typed meanwhile</strong>" in response.content


DJANGOS = (
    "Staff status",
    "Superuser status",
    "Designates",
    "this user",
    "a user",
    "Raw passwords",
    "pbkdf2",
    "Username",
)
PEOPLE = ("/admin/auth/user/", "/admin/auth/user/add/", "/admin/auth/user/{}/change/")


@pytest.mark.parametrize("path", PEOPLE)
@pytest.mark.parametrize("may", ["everything", "view"])
def test_the_pages_of_people_have_our_words(admin_user: User, path: str, may: str) -> None:
    user = admin_user
    if may == "view":
        user = User.objects.create_user("viewer", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename="view_user"))
    response = browser(user).get(path.format(user.pk))
    if response.status_code != 403:  # a viewer adds nobody
        html = response.content.decode()
        assert [word for word in DJANGOS if word in html] == []
        assert "Opens the admin" in html or "opens the admin" in html or path.endswith("add/")
        assert may == "view" or not path.endswith(("add/", "change/")) or "User name" in html


def test_a_persons_page_shows_whether_there_is_a_password(page: Client, manager: User) -> None:
    program = User.objects.create_user("program")
    urls = [reverse("admin:auth_user_change", args=[each.pk]) for each in (manager, program)]
    assert reverse("admin:auth_user_password_change", args=[program.pk]) in page.get(urls[1]).content.decode()
    shown = [page.get(url).content.decode() for url in urls]
    assert [("One is set." in html, "None is set." in html) for html in shown] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize("name", ["auth_user_password_change", "auth_user_no_factors", "auth_user_invite"])
def test_nobody_changes_their_own_password_or_factors_without_the_old_ones(
    page: Client, manager: User, name: str
) -> None:
    TOTP.activate(manager, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    url = reverse(f"admin:{name}", args=[manager.pk])
    for response in (page.get(url), page.post(url, {**NEW_PASSWORD, "usable_password": "true"})):
        assert response.status_code == 302 and response["Location"] == reverse("account_own")
    manager.refresh_from_db()
    assert manager.check_password("a-long-test-password") and manager.authenticator_set.exists()  # type: ignore[attr-defined]
    own = page.get(reverse("admin:auth_user_change", args=[manager.pk])).content.decode()
    assert reverse("account_own") in own and "Send a link" not in own and "Remove second factors" not in own


def entries() -> list[tuple[str, str, dict[str, Any]]]:
    rows = AuditEntry.objects.filter(Q(kind__startswith="account.") | Q(kind__startswith="group.")).order_by("pk")
    return [(row.kind, row.actor, row.payload) for row in rows]


def test_the_record_has_each_right_that_an_administrator_gives_or_takes(page: Client, acme: Tenant) -> None:
    ben, team = User.objects.create_user("ben"), Group.objects.create(name="Helpers")
    Membership.objects.create(user=ben, tenant=acme)
    for _ in range(2):  # the second time nothing changes
        save(page, ben, groups=[team.pk], is_active="")
    save(page, team, name="Friends")
    submit(page, reverse("admin:auth_user_password_change", args=[ben.pk]), **NEW_PASSWORD)
    submit(page, reverse("admin:auth_user_delete", args=[ben.pk]), post="yes")
    submit(page, reverse("admin:auth_group_add"), name="New")
    changes = {"is_active": [True, False], "groups": [[], ["Helpers"]]}
    assert entries() == [
        ("account.changed", "manager", {"account": "ben", "changes": changes}),
        ("group.changed", "manager", {"group": "Friends", "changes": {"name": ["Helpers", "Friends"]}}),
        ("account.password_set", "manager", {"account": "ben"}),
        ("account.deleted", "manager", {"account": "ben"}),
        ("group.created", "manager", {"group": "New", "changes": {"name": [None, "New"]}}),
    ]


def test_the_record_has_a_new_account_without_its_password(page: Client, acme: Tenant) -> None:
    submit(page, reverse("admin:auth_user_add"), username="ana", **NEW_PASSWORD)
    ((kind, actor, payload),) = entries()
    assert (kind, actor, payload["account"]) == ("account.created", "manager", "ana")
    assert not any("password" in name for name in payload["changes"])


def test_accounts_that_are_deleted_from_the_list_are_in_the_record(page: Client, acme: Tenant) -> None:
    groups = [Group.objects.create(name=name) for name in ("One", "Two")]
    chosen = {"action": "delete_selected", "_selected_action": [group.pk for group in groups]}
    listed = reverse("admin:auth_group_changelist")
    asked = filled_form(page.post(listed, chosen).content)
    page.post(listed, {**asked, **chosen, "post": "yes"})
    assert [(kind, payload) for kind, _, payload in entries()] == [
        ("group.deleted", {"group": "One"}),
        ("group.deleted", {"group": "Two"}),
    ]
