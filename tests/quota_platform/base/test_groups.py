"""The platform's groups: created by migrating, granted each permission once, and otherwise left alone."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command

from quota_platform.base import groups
from tenants import scope
from tenants.models import Granted, Membership, Tenant

pytestmark = pytest.mark.django_db


def rights(name: str) -> set[str]:
    held = Group.objects.get(name=name).permissions.values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in held}


def permission(name: str) -> Permission:
    return Permission.objects.get(codename=name)


@pytest.mark.parametrize("name", ["Supervisor", "Policy editor", "Auditor"])
def test_migrating_creates_the_groups_with_their_permissions(name: str) -> None:
    assert rights(name) == set(groups.rights()[name])


def test_creating_the_groups_again_changes_nothing() -> None:
    before = {name: rights(name) for name in groups.rights()}, Granted.objects.count()
    groups.make()
    call_command("migrate", verbosity=0)
    assert ({name: rights(name) for name in groups.rights()}, Granted.objects.count()) == before


def test_permissions_that_an_administrator_changed_stay_changed() -> None:
    group = Group.objects.get(name="Supervisor")
    group.permissions.add(permission("change_tenant"))
    group.permissions.remove(permission("add_override"))
    groups.make()
    assert rights("Supervisor") == {*groups.rights()["Supervisor"], "tenants.change_tenant"} - {"limiter.add_override"}


@pytest.mark.parametrize("how", ["deleted", "renamed"])
def test_a_group_that_is_theirs_now_is_not_made_again(how: str) -> None:
    group = Group.objects.filter(name="Auditor")
    group.delete() if how == "deleted" else group.update(name="Revision")
    groups.make()
    assert not Group.objects.filter(name="Auditor").exists()


def test_a_right_that_a_release_adds_is_given_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    Group.objects.get(name="Auditor").permissions.remove(permission("add_export"))
    more = {**groups.rights(), "Auditor": (*groups.rights()["Auditor"], "tenants.view_granted")}
    monkeypatch.setattr(groups, "rights", lambda: more)
    groups.make()
    assert "tenants.view_granted" in rights("Auditor")
    assert "limiter.add_export" not in rights("Auditor")


def test_a_group_of_the_same_name_that_was_there_before_keeps_what_it_had() -> None:
    Granted.objects.all().delete()
    group = Group.objects.get(name="Supervisor")
    group.permissions.set([permission("change_tenant")])
    groups.make()
    assert rights("Supervisor") == {*groups.rights()["Supervisor"], "tenants.change_tenant"}


def test_groups_give_permissions_and_no_memberships(acme: Tenant, globex: Tenant) -> None:
    for name in groups.rights():
        user = User.objects.create_user(name)
        user.groups.add(Group.objects.get(name=name))
        assert scope.names_of(user) == frozenset()
        Membership.objects.create(user=user, tenant=acme)
        assert scope.names_of(user) == frozenset(["acme"])
