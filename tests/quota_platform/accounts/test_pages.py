"""Every page of signing in and of second factors is the platform's own, in its words."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib.auth.models import User
from django.shortcuts import render
from django.test import Client, RequestFactory
from django.urls import reverse

from tests.quota_platform.accounts.totp import code

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]
PASSWORD = "a-long-test-password"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
OWN_PAGES = (
    "account_own",
    "account_change_password",
    "account_reauthenticate",
    "mfa_index",
    "mfa_reauthenticate",
    "mfa_deactivate_totp",
    "mfa_list_webauthn",
    "mfa_add_webauthn",
    "mfa_view_recovery_codes",
    "mfa_generate_recovery_codes",
)
"""Of a person with an app and recovery codes."""
ENTRANCES = ("account_login", "account_link_sent", "socialaccount_login_cancelled")


def foreign(response: Any) -> list[str]:
    """The templates that a page took from allauth."""
    files = [str(template.origin) for template in response.templates]
    return [file for file in files if "/site-packages/allauth/" in file]


@pytest.fixture
def ana() -> User:
    person = User.objects.create_user("ana", "ana@example.com", PASSWORD)
    TOTP.activate(person, SECRET)
    RecoveryCodes.activate(person)
    return person


def with_password(name: str) -> tuple[Client, Any]:
    client = Client()
    return client, client.post(reverse("account_login"), {"username": name, "password": PASSWORD})


@pytest.fixture
def signed_in(ana: User) -> Client:
    client, _ = with_password("ana")
    client.post(reverse("mfa_authenticate"), {"code": code(SECRET)})
    return client


@pytest.mark.parametrize("page", OWN_PAGES)
def test_a_page_of_one_s_account_is_ours(signed_in: Client, page: str) -> None:
    response = signed_in.get(reverse(page))
    assert response.status_code == 200 and foreign(response) == []


@pytest.mark.parametrize("page", ["mfa_edit_webauthn", "mfa_remove_webauthn"])
def test_a_page_of_a_security_key_is_ours(signed_in: Client, page: str) -> None:
    person = User.objects.get(username="ana")
    key = Authenticator.objects.create(user=person, type="webauthn", data={"name": "My key"})
    response = signed_in.get(reverse(page, args=[key.pk]))
    assert response.status_code == 200 and foreign(response) == []


@pytest.mark.parametrize("page", ENTRANCES)
def test_a_page_before_signing_in_is_ours(client: Client, page: str) -> None:
    response = client.get(reverse(page))
    assert response.status_code == 200 and foreign(response) == []


def test_the_page_between_password_and_second_factor_is_ours(ana: User) -> None:
    client, sent = with_password("ana")
    response = client.get(sent["Location"])
    assert sent["Location"] == reverse("mfa_authenticate") and foreign(response) == []


def test_the_set_up_of_an_app_is_ours() -> None:
    User.objects.create_user("ben", password=PASSWORD)
    client, _ = with_password("ben")
    response = client.get(reverse("mfa_activate_totp"))
    assert response.status_code == 200 and foreign(response) == []


def test_a_wrong_password_and_a_failed_provider_get_our_words(client: Client) -> None:
    page = client.post(reverse("account_login"), {"username": "ana", "password": "wrong"})
    assert "The user name or the password is wrong." in page.content.decode()
    request = RequestFactory().get("/accounts/sso/callback/")
    request.user = User()
    assert (
        "failed: this browser did not begin it"
        in render(request, "socialaccount/authentication_error.html").content.decode()
    )
