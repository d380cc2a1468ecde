"""A second factor: set up, required, checked at each sign-in, bounded like a password, and sealed."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from cryptography.fernet import Fernet
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from pytest_django import Settings
from rest_framework.test import APIClient

from limiter.models import AuditEntry
from quota_platform.accounts.sealing import PURPOSE
from quota_platform.base import rotation, secrets
from quota_platform.base.sessions import person_of
from tests.api_client import signed_in
from tests.quota_platform.accounts.security_key import registered
from tests.quota_platform.accounts.totp import code

PASSWORD = "a-long-test-password"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]


@pytest.fixture
def ana() -> User:
    """Of the staff, with an authenticator app and recovery codes."""
    person = User.objects.create_user("ana", password=PASSWORD, is_staff=True)
    TOTP.activate(person, SECRET)
    RecoveryCodes.activate(person)
    return person


@pytest.fixture
def bo() -> User:
    """Of the staff, with a password alone."""
    return User.objects.create_user("bo", password=PASSWORD, is_staff=True)


def with_password(name: str, **kwargs: Any) -> tuple[Client, str]:
    """A browser that has sent the right password, and where that leads."""
    client = Client(**kwargs)
    response = client.post(reverse("account_login"), {"username": name, "password": PASSWORD})
    return client, response.headers.get("Location", "")


def send(client: Client, text: str) -> Any:
    return client.post(reverse("mfa_authenticate"), {"code": text})


def test_the_page_offers_the_kinds_of_factors_that_the_person_has(ana: User) -> None:
    text = with_password("ana")[0].get(reverse("mfa_authenticate")).text
    assert "authenticator app" in text and "security key" not in text
    Authenticator.objects.create(user=ana, type="webauthn", data=registered("My key"))
    text = with_password("ana")[0].get(reverse("mfa_authenticate")).text
    assert "authenticator app" in text and "Use a security key" in text
    Authenticator.objects.filter(user=ana, type="totp").delete()
    text = with_password("ana")[0].get(reverse("mfa_authenticate")).text
    assert "authenticator app" not in text and "Use your security key, or enter one of your recovery codes." in text


def is_signed_in(client: Client) -> bool:
    return client.get("/dashboard/").status_code == 200


def test_a_person_sets_up_an_app_and_gets_recovery_codes(bo: User) -> None:
    client, _ = with_password("bo")
    page = client.get(reverse("mfa_activate_totp"))
    secret = page.context["form"].secret
    assert page.context["totp_svg_data_uri"].encode() in page.content
    assert client.post(reverse("mfa_activate_totp"), {"code": "000000"}).status_code == 200
    done = client.post(reverse("mfa_activate_totp"), {"code": code(secret)}, follow=True)
    assert len(done.context["unused_codes"]) == 10
    assert set(Authenticator.objects.values_list("user__username", "type")) == {
        ("bo", "totp"),
        ("bo", "recovery_codes"),
    }


def test_the_record_has_changes_of_second_factors_and_no_secret(
    ana: User, django_capture_on_commit_callbacks: Any
) -> None:
    client, _ = with_password("ana")
    send(client, code(SECRET))
    with django_capture_on_commit_callbacks(execute=True):
        client.post(reverse("mfa_deactivate_totp"))
        secret = client.get(reverse("mfa_activate_totp")).context["form"].secret
        client.post(reverse("mfa_activate_totp"), {"code": code(secret)})
    entries = AuditEntry.objects.filter(kind__startswith="second_factor").order_by("position")
    assert [(entry.kind, entry.actor, entry.payload["kind"]) for entry in entries] == [
        ("second_factor.removed", "ana", "totp"),
        ("second_factor.removed", "ana", "recovery_codes"),
        ("second_factor.added", "ana", "totp"),
        ("second_factor.added", "ana", "recovery_codes"),
    ]
    assert secret not in str(list(AuditEntry.objects.values_list("payload", flat=True)))


def test_the_password_alone_signs_nobody_in_who_has_a_second_factor(ana: User) -> None:
    client, leads_to = with_password("ana")
    assert leads_to == reverse("mfa_authenticate") and not is_signed_in(client)
    assert send(client, code(SECRET))["Location"] == "/dashboard/" and is_signed_in(client)


def test_a_code_signs_in_once(ana: User) -> None:
    for steps, accepted in ((0, True), (0, False), (1, True)):
        client, _ = with_password("ana")
        send(client, code(SECRET, steps=steps))
        assert is_signed_in(client) is accepted


def test_a_recovery_code_signs_in_once(ana: User) -> None:
    kept = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()[0]
    for accepted in (True, False):
        client, _ = with_password("ana")
        send(client, kept)
        assert is_signed_in(client) is accepted


def test_wrong_codes_pause_the_account_for_their_address_like_wrong_passwords(ana: User) -> None:
    client, _ = with_password("ana")
    assert [send(client, "wrong").status_code for _ in range(5)] == [200, 200, 200, 200, 429]
    assert send(client, code(SECRET)).status_code == 429 and not is_signed_in(client)
    elsewhere, _ = with_password("ana", REMOTE_ADDR="203.0.113.9")
    send(elsewhere, code(SECRET))
    assert is_signed_in(elsewhere)
    assert AuditEntry.objects.filter(kind="sign_in.refused", actor="ana").count() == 5


def test_while_the_shared_cache_is_unavailable_people_with_a_second_factor_sign_in(
    ana: User, settings: Settings
) -> None:
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    client, _ = with_password("ana")
    send(client, "wrong")
    assert not is_signed_in(client)
    send(client, code(SECRET))
    assert is_signed_in(client)


def test_a_change_of_second_factors_needs_a_sign_in_of_the_last_minutes(ana: User) -> None:
    client = Client()
    client.force_login(ana)
    for name in ("mfa_deactivate_totp", "mfa_add_webauthn", "mfa_generate_recovery_codes", "mfa_view_recovery_codes"):
        assert reverse("account_reauthenticate") in client.get(reverse(name))["Location"]
    assert client.post(reverse("mfa_deactivate_totp"))["Location"].startswith(reverse("account_reauthenticate"))
    assert Authenticator.objects.filter(type="totp").exists()


def test_nobody_sees_or_removes_the_key_of_another(ana: User, bo: User) -> None:
    row = Authenticator.objects.create(user=ana, type="webauthn", data={"name": "canary", "credential": {}})
    client, _ = with_password("bo")
    assert b"canary" not in client.get(reverse("mfa_list_webauthn")).content
    for name in ("mfa_edit_webauthn", "mfa_remove_webauthn"):
        assert client.post(reverse(name, args=[row.pk])).status_code == 404
    assert Authenticator.objects.filter(pk=row.pk).exists()


# Requiring one.


@pytest.fixture(params=["staff", "everybody", "group"])
def required(request: pytest.FixtureRequest, settings: Settings, bo: User) -> None:
    changed = {"SECOND_FACTOR_REQUIRED": request.param}
    if request.param == "group":
        bo.groups.add(Group.objects.create(name="Careful"))
        changed = {"SECOND_FACTOR_GROUPS": ["Careful"]}
    settings.ENV = settings.ENV.model_copy(update=changed)


@pytest.mark.usefixtures("required")
def test_a_required_second_factor_is_set_up_before_anything_else(bo: User) -> None:
    client, _ = with_password("bo")
    for page in ("/dashboard/", "/admin/", "/dashboard/tenants/"):
        assert client.get(page)["Location"] == reverse("mfa_index")
    assert client.get("/api/tenants/").status_code == 401
    assert person_of(client.session.session_key) is None
    assert client.get(reverse("mfa_index")).status_code == 200
    TOTP.activate(bo, SECRET)
    assert is_signed_in(client) and person_of(client.session.session_key) == bo


@pytest.mark.usefixtures("required")
def test_an_api_token_needs_no_second_factor(bo: User) -> None:
    assert signed_in(bo).get("/api/tenants/").status_code == 403  # no right, and no other hindrance
    both = APIClient()
    both.force_login(bo)
    assert both.get("/api/tenants/", headers={"Authorization": "Basic x"}).status_code == 401


def test_others_need_none(settings: Settings) -> None:
    settings.ENV = settings.ENV.model_copy(update={"SECOND_FACTOR_REQUIRED": "staff", "SECOND_FACTOR_GROUPS": ["Few"]})
    User.objects.create_user("cleo", password=PASSWORD)
    client, _ = with_password("cleo")
    assert is_signed_in(client) and person_of(client.session.session_key) is not None


# At rest.


def test_secrets_are_sealed_and_move_to_the_newest_key(ana: User, settings: Settings) -> None:
    stored = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert SECRET not in stored and stored.count("'v1:") == 2
    old = settings.SECRETS_KEYS
    settings.SECRETS_KEYS = [Fernet.generate_key().decode(), *old]
    assert rotation.rotate_secrets() == rotation.Rotation(resealed=2)
    settings.SECRETS_KEYS = settings.SECRETS_KEYS[:1]
    assert secrets.unseal(Authenticator.objects.get(type="totp").data["secret"], purpose=PURPOSE) == SECRET
    settings.SECRETS_KEYS = old
    assert rotation.rotate_secrets().unreadable == ["ana (totp)", "ana (recovery_codes)"]
    client, _ = with_password("ana")
    assert send(client, code(SECRET)).status_code == 200 and not is_signed_in(client)
