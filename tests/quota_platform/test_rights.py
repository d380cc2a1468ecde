"""People, groups and permissions in the reader's words."""

from __future__ import annotations

from html import unescape

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.utils import translation

from quota_platform import rights
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
