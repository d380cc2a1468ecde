"""Mails with a link to a password, over a real connection: invitations, and resets that reveal no account."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from allauth.mfa.totp.internal.auth import TOTP
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from limiter.models import AuditEntry
from quota_platform.accounts import mails
from quota_platform.celery import app
from tenants.models import Tenant
from tests.limiter.reports.mail_server import MailServer, serving
from tests.people import browser, member

OLD, NEW = "a-long-test-password", "another-long-password"
ADDRESS = "ana@example.com"

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]


@pytest.fixture(autouse=True)
def server(settings: Settings) -> Iterator[MailServer]:
    """Tasks run at once, in place of a worker."""
    app.conf.task_always_eager = True
    with serving() as made:
        update = {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": made.port, "EMAIL_TLS": "none"}
        settings.ENV = settings.ENV.model_copy(update={**update, "PUBLIC_URL": "https://quota.example.com"})
        yield made
    app.conf.task_always_eager = False


@pytest.fixture
def ana() -> User:
    return User.objects.create_user("ana", ADDRESS, OLD)


def ask(address: str = ADDRESS, **kwargs: Any) -> Any:
    cache.delete_pattern("sign-in:*")  # type: ignore[attr-defined]  # the last test's minute is over
    return Client(headers={"Host": "localhost"}, **kwargs).post(reverse("account_reset_password"), {"email": address})


def link_in(server: MailServer) -> str:
    text = server.mails[-1].get_content()
    return urlsplit(re.search(r"https://quota\.example\.com/\S+", text)[0]).path  # type: ignore[index]


def set_password(link: str, password: str = NEW) -> Any:
    client = Client()
    form = client.get(link, follow=True)
    fields = {"new_password1": password, "new_password2": password}
    return client.post(form.redirect_chain[-1][0], fields) if form.redirect_chain else form


def may_sign_in(name: str, password: str) -> bool:
    client = Client()
    client.post(reverse("account_login"), {"username": name, "password": password})
    return client.get("/dashboard/").status_code == 200


def test_a_link_sets_a_new_password_once_and_ends_the_old_sessions(ana: User, server: MailServer) -> None:
    elsewhere = browser(ana)
    assert ask()["Location"] == reverse("account_link_sent")
    mail, link = server.mails[0], link_in(server)
    assert mail["To"] == ADDRESS and OLD not in mail.get_content()
    assert set_password(link)["Location"] == reverse("account_login")
    assert may_sign_in("ana", NEW) and not may_sign_in("ana", OLD)
    assert elsewhere.get("/dashboard/").status_code == 302
    assert b"does not work any more" in set_password(link).content
    assert AuditEntry.objects.filter(kind="account.password_set", actor="ana").count() == 1


def test_a_link_is_over_when_its_time_is_or_when_its_person_signs_in(
    ana: User, server: MailServer, settings: Settings
) -> None:
    ask()
    settings.PASSWORD_RESET_TIMEOUT = -1
    assert b"does not work any more" in set_password(link_in(server)).content
    settings.PASSWORD_RESET_TIMEOUT = 3600
    assert may_sign_in("ana", OLD)
    assert b"does not work any more" in set_password(link_in(server)).content


def test_a_new_password_replaces_no_second_factor(ana: User, server: MailServer) -> None:
    TOTP.activate(ana, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    ask()
    set_password(link_in(server))
    assert not may_sign_in("ana", NEW)


def test_a_weak_password_is_refused_with_the_reason(ana: User, server: MailServer) -> None:
    ask()
    assert b"This password is too short" in set_password(link_in(server), "short").content
    assert may_sign_in("ana", OLD)


def test_the_response_does_not_tell_whether_an_account_has_the_address(ana: User, server: MailServer) -> None:
    known, unknown = ask(), ask("nobody@example.com")
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    assert [mail["To"] for mail in server.mails] == [ADDRESS]


def test_accounts_that_have_no_password_or_are_switched_off_get_no_link(ana: User, server: MailServer) -> None:
    User.objects.create_user("off", "off@example.com", OLD, is_active=False)
    User.objects.create_user("sso", "sso@example.com")
    ask("off@example.com")
    ask("sso@example.com")
    assert server.mails == []


def test_an_address_gets_one_link_a_minute_and_a_network_asks_every_other_second(ana: User, server: MailServer) -> None:
    ask()
    again = Client(headers={"Host": "localhost"}, REMOTE_ADDR="203.0.113.9")
    assert again.post(reverse("account_reset_password"), {"email": ADDRESS}).status_code == 302
    here = Client(headers={"Host": "localhost"})
    User.objects.create_user("bo", "bo@example.com", OLD)
    assert here.post(reverse("account_reset_password"), {"email": "bo@example.com"}).status_code == 302
    assert len(server.mails) == 1


def test_the_link_is_under_the_public_url_whatever_the_caller_sends(ana: User, server: MailServer) -> None:
    ask(HTTP_X_FORWARDED_HOST="evil.example.com")
    assert link_in(server).startswith("/accounts/password/")


def test_without_a_mail_server_there_is_no_page_for_it(settings: Settings, client: Client) -> None:
    assert b"Forgot your password?" in client.get(reverse("account_login")).content
    settings.ENV = settings.ENV.model_copy(update={"EMAIL_HOST": ""})
    assert b"Forgot your password?" not in client.get(reverse("account_login")).content
    assert client.get(reverse("account_reset_password")).status_code == 404


# Invitations.


def invite(by: User, person: User) -> Any:
    return browser(by).post(reverse("admin:auth_user_invite", args=[person.pk]), follow=True)


def test_an_invited_person_sets_the_first_password_and_no_administrator_knows_it(
    admin_user: User, server: MailServer
) -> None:
    root = browser(admin_user)
    form = {"username": "kim", "email": "kim@example.com", "usable_password": "false"}
    assert root.post(reverse("admin:auth_user_add"), form).status_code == 302
    kim = User.objects.get(username="kim")
    assert not kim.has_usable_password()
    assert "A link to set a password goes to kim@example.com." in invite(admin_user, kim).content.decode()
    set_password(link_in(server))
    assert may_sign_in("kim", NEW)
    entry = AuditEntry.objects.get(kind="account.invited")
    assert (entry.actor, entry.payload) == ("root", {"account": "kim"})


def test_only_people_that_one_may_manage_are_invited_or_lose_their_second_factors(
    acme: Tenant, admin_user: User, server: MailServer
) -> None:
    TOTP.activate(admin_user, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    manager = browser(member("manager", acme))
    for page in ("admin:auth_user_invite", "admin:auth_user_no_factors"):
        assert manager.post(reverse(page, args=[admin_user.pk])).status_code == 403
        assert manager.post(reverse(page, args=[999_999])).status_code == 404
    assert server.mails == [] and admin_user.authenticator_set.exists()  # type: ignore[attr-defined]


def test_an_administrator_removes_second_factors_that_were_lost(admin_user: User, ana: User) -> None:
    TOTP.activate(ana, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    root = browser(admin_user)
    page = reverse("admin:auth_user_no_factors", args=[ana.pk])
    root.get(page)
    assert not may_sign_in("ana", OLD)
    root.post(page)
    assert may_sign_in("ana", OLD)
    assert AuditEntry.objects.get(kind="second_factor.removed").actor == "root"


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ({"email": ""}, "Enter a mail address first."),
        ({"is_active": False}, "The account is switched off."),
    ],
)
def test_an_invitation_that_cannot_be_sent_says_why(
    admin_user: User, ana: User, lacking: dict[str, Any], said: str
) -> None:
    User.objects.filter(pk=ana.pk).update(**lacking)
    assert said in invite(admin_user, ana).content.decode()


def test_a_program_gets_no_password(admin_user: User, ana: User, server: MailServer) -> None:
    ana.groups.add(Group.objects.get(name="Service account"))
    assert "This is the account of a program" in invite(admin_user, ana).content.decode()
    assert server.mails == []


def test_a_person_of_the_identity_provider_gets_no_password(admin_user: User, ana: User, server: MailServer) -> None:
    SocialAccount.objects.create(user=ana, provider="sso", uid="1")
    assert "signs in through the identity provider" in invite(admin_user, ana).content.decode()
    mails.invite(ana.pk, language="en")
    assert server.mails == []


def change(client: Client, old: str = OLD) -> Any:
    fields = {"old_password": old, "new_password1": NEW, "new_password2": NEW}
    return client.post(reverse("account_change_password"), fields)


def test_a_person_who_does_not_open_the_admin_changes_the_password_and_stays_signed_in_here_alone(ana: User) -> None:
    here, elsewhere = browser(ana), browser(ana)
    assert reverse("account_change_password") in here.get(reverse("account_own")).content.decode()
    assert change(here)["Location"] == reverse("account_own")
    assert here.get("/dashboard/").status_code == 200 and elsewhere.get("/dashboard/").status_code == 302
    assert may_sign_in("ana", NEW) and not may_sign_in("ana", OLD)
    assert AuditEntry.objects.filter(kind="account.password_changed", actor="ana").count() == 1


def test_a_session_that_was_left_open_is_no_place_to_guess_the_password(ana: User) -> None:
    left_open = browser(ana)
    statuses = [change(left_open, old=f"guess-{number}").status_code for number in range(5)]
    assert statuses == [200, 200, 200, 200, 429]
    assert change(left_open).status_code == 429
    ana.refresh_from_db()
    assert ana.check_password(OLD)


def test_who_has_no_password_changes_none(ana: User) -> None:
    ana.set_unusable_password()
    ana.save()
    client = browser(ana)
    assert client.get(reverse("account_change_password")).status_code == 404
    assert reverse("account_change_password") not in client.get(reverse("account_own")).content.decode()


def test_the_admin_leads_to_the_same_page(admin_user: User) -> None:
    root = browser(admin_user)
    assert root.get("/admin/password_change/")["Location"] == reverse("account_change_password")
    assert reverse("account_own") in root.get("/admin/").content.decode()
