"""One page signs everybody in: for the dashboard and for the admin, and for no other site."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import NoReverseMatch, reverse

from limiter.models import AuditEntry
from tenants.models import Membership, Tenant
from tests.api_client import signed_in

PASSWORD = "a-long-test-password"

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]


def sign_in(client: Client, name: str, url: str = "") -> str:
    """Where the page leads."""
    response = client.post(url or reverse("account_login"), {"username": name, "password": PASSWORD})
    return response.headers.get("Location", "")


def test_the_admin_and_the_first_release_s_address_lead_to_the_page_and_back(client: Client, admin_user: User) -> None:
    for asked in ("/admin/limiter/quotapolicy/", "/dashboard/refusals/"):
        page = client.get(asked, follow=True).redirect_chain[-1][0]
        assert page.startswith(reverse("account_login"))
        assert sign_in(client, "root", page) == asked
        client.logout()
    assert client.get("/dashboard/sign-in/?next=/dashboard/tenants/")["Location"] == (
        f"{reverse('account_login')}?next=/dashboard/tenants/"
    )


def test_a_person_who_is_not_of_the_staff_is_refused_by_the_admin_and_not_sent_round(client: Client) -> None:
    User.objects.create_user("ana", password=PASSWORD)
    assert sign_in(client, "ana") == "/dashboard/"
    assert client.get("/admin/", follow=True).status_code == 403


def test_an_account_that_is_switched_off_does_not_sign_in(client: Client) -> None:
    User.objects.create_user("ana", password=PASSWORD, is_active=False)
    assert sign_in(client, "ana") == "" and "_auth_user_id" not in client.session


def test_a_service_account_uses_its_token_and_never_signs_in(client: Client, acme: Tenant) -> None:
    program = User.objects.create_user("nightly", password=PASSWORD)
    Membership.objects.create(user=program, tenant=acme)
    program.groups.add(Group.objects.get(name="Service account"))
    assert sign_in(client, "nightly") == "" and "_auth_user_id" not in client.session
    assert [row["tenant_id"] for row in signed_in(program).get("/api/tenants/").json()["results"]] == ["acme"]
    assert AuditEntry.objects.filter(kind="sign_in.refused", actor="nightly").count() == 1


def test_nobody_makes_an_account_for_themself() -> None:
    for name in ("account_signup", "account_email", "account_request_login_code"):
        with pytest.raises(NoReverseMatch):
            reverse(name)
