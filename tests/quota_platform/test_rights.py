"""People, groups and permissions in the reader's words."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.utils import translation

from quota_platform import rights
from quota_platform.base import groups
from tenants.models import Tenant

pytestmark = pytest.mark.django_db


def in_german(client: Client, path: str) -> str:
    return unescape(client.get(path, headers={"accept-language": "de"}).content.decode())


def test_permissions_and_groups_are_chosen_in_the_reader_s_language(admin_client: Client, acme: Tenant) -> None:
    page = in_german(admin_client, "/admin/auth/group/add/")
    assert (
        "Kontingente: Ausnahmen: darf anlegen" in page and "Can add" not in page and "Can see every tenant" not in page
    )
    ana = User.objects.create_user("ana")
    page = in_german(admin_client, f"/admin/auth/user/{ana.pk}/change/")
    assert "Can " not in page and ">Richtlinienredaktion<" in page and "Policy editor" not in page
    assert "Richtlinienredaktion" in in_german(admin_client, "/admin/auth/group/")


def test_permissions_that_open_nothing_are_not_offered_and_one_that_a_group_has_stays(admin_client: Client) -> None:
    history = Permission.objects.get(codename="view_historicaltenant")
    held, other = Group.objects.create(name="Old"), Group.objects.create(name="Other")
    held.permissions.add(history)

    def offered(group: Group) -> set[str]:
        page: Any = admin_client.get(f"/admin/auth/group/{group.pk}/change/")
        field = page.context["adminform"].form.fields["permissions"]
        return set(field.queryset.values_list("codename", flat=True))

    assert history.codename in offered(held) and history.codename not in offered(other)
    assert {"add_override", "change_quotalimit", "add_membership", "reset_counter", "add_teamentry"} <= offered(other)
    assert not {"view_session", "add_logentry", "add_eventmark", "delete_usageminute"} & offered(other)
    given = {permission.partition(".")[2] for of_group in groups.rights().values() for permission in of_group}
    assert given <= offered(other)


def test_the_button_that_adds_a_line_names_its_row_in_small_letters(admin_client: Client, acme: Tenant) -> None:
    page = unescape(admin_client.get(f"/admin/tenants/tenant/{acme.pk}/change/").content.decode())
    assert "Add another membership" in page
    assert "Add another limit" in unescape(admin_client.get("/admin/limiter/quotapolicy/add/").content.decode())


def test_a_group_that_people_made_keeps_its_name() -> None:
    with translation.override("de"):
        assert rights.group(Group(name="Auditors of the night")) == "Auditors of the night"


@pytest.mark.parametrize("language", ["de", "es"])
def test_no_permission_of_ours_is_english_elsewhere(language: str) -> None:
    ours = Permission.objects.filter(content_type__app_label__in=["limiter", "tenants"]).select_related("content_type")
    english = {row.pk: rights.permission(row) for row in ours}
    with translation.override(language):
        for row in ours:
            assert rights.permission(row) != english[row.pk]


def test_the_admin_speaks_of_people_and_of_quotas(admin_client: Client, admin_user: User) -> None:
    people = unescape(admin_client.get("/admin/auth/user/").content.decode())
    assert "Select person to change" in people and "Users" not in people
    policies = unescape(admin_client.get("/admin/limiter/quotapolicy/").content.decode())
    for word in ("Limiter", "View site", "Log out"):
        assert word not in policies and word not in people
    assert "Sign out" in policies and "There are none yet." in policies and "Reset filters" not in policies
    searched = unescape(admin_client.get("/admin/limiter/quotapolicy/?q=gold").content.decode())
    assert "No row matches these filters." in searched and "Reset filters" in searched
