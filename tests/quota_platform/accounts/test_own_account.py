"""A person's own page: the language and the time zone of their pages follow them to another browser."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from quota_platform.accounts import mails, sessions
from tenants.models import Preferences
from tests.limiter.reports.mail_server import serving

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]
PAGE, OVERVIEW = "/accounts/", "/dashboard/"


@pytest.fixture
def ana(django_user_model: type[User]) -> User:
    return django_user_model.objects.create_user("ana", "ana@example.com", "anas-password")


def browser(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def opened(client: Client, **headers: Any) -> str:
    return client.get(OVERVIEW, **headers).content.decode()


def test_language_and_zone_are_kept_with_the_account(ana: User) -> None:
    here = browser(ana)
    page = here.get(PAGE).content.decode()
    assert "Your account" in page and "Asia/Kolkata" in page and "Español" in page
    assert here.post(PAGE, {"language": "de", "time_zone": "Europe/Berlin"})["Location"] == PAGE
    for client in (here, browser(ana)):
        assert '<html lang="de">' in opened(client) and 'data-zone="Europe/Berlin"' in opened(client)
    assert 'value="Europe/Berlin" selected' in here.get(PAGE).content.decode()


def test_the_menus_of_every_page_keep_them_with_the_account_too(ana: User) -> None:
    here = browser(ana)
    here.post("/language/", {"language": "es"})
    here.post("/dashboard/zone/", {"zone": "Asia/Kolkata"})
    there = browser(ana)
    assert '<html lang="es">' in opened(there) and 'data-zone="Asia/Kolkata"' in opened(there)


def test_a_browser_that_is_signed_in_already_follows_within_a_minute(
    ana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = browser(ana), browser(ana)
    here.post(PAGE, {"language": "de", "time_zone": "UTC"})
    assert '<html lang="en">' in opened(there)
    monkeypatch.setattr(sessions, "NOTED_S", 0)
    opened(there)
    assert '<html lang="de">' in opened(there)


def test_the_account_counts_more_than_the_browser_and_less_than_the_address(ana: User) -> None:
    here = browser(ana)
    here.cookies["django_language"], here.cookies["dashboard_zone"] = "es", "America/Lima"
    assert '<html lang="es">' in opened(here) and 'data-zone="America/Lima"' in opened(here)
    Preferences.objects.create(user=ana, language="de", time_zone="Europe/Berlin")
    there = browser(ana)
    there.cookies["django_language"], there.cookies["dashboard_zone"] = "es", "America/Lima"
    assert '<html lang="de">' in opened(there) and 'data-zone="Europe/Berlin"' in opened(there)
    assert 'data-zone="UTC"' in there.get(f"{OVERVIEW}?tz=UTC").content.decode()


def test_without_a_choice_the_browser_s_language_serves_again(ana: User) -> None:
    here = browser(ana)
    here.post("/language/", {"language": "es"})
    here.post(PAGE, {"language": "", "time_zone": "UTC"})
    assert '<html lang="de">' in opened(here, headers={"Accept-Language": "de"})


def test_what_a_visitor_chooses_is_kept_in_the_browser_alone(client: Client) -> None:
    client.post("/language/", {"language": "es"})
    assert client.cookies["django_language"].value == "es" and not Preferences.objects.exists()


@pytest.mark.parametrize(
    "wrong", [{"language": "xx", "time_zone": "UTC"}, {"time_zone": "Middle/Earth"}, {"language": "fr"}]
)
def test_an_unknown_language_or_zone_is_not_kept(ana: User, wrong: dict[str, str]) -> None:
    here = browser(ana)
    assert here.post(PAGE, wrong).status_code == 200
    here.post("/language/", wrong)
    assert not Preferences.objects.exists()


def test_a_language_whose_catalogue_is_gone_counts_for_nothing(ana: User) -> None:
    Preferences.objects.create(user=ana, language="tlh", time_zone="Middle/Earth")
    page = opened(browser(ana))
    assert '<html lang="en">' in page and 'data-zone="UTC"' in page


def test_a_stranger_has_no_such_page(client: Client) -> None:
    assert client.get(PAGE)["Location"].startswith(reverse("account_login"))


def test_mails_are_in_the_language_of_their_person(ana: User, settings: Settings) -> None:
    Preferences.objects.create(user=ana, language="de")
    with serving() as server:
        mailing = {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": server.port, "EMAIL_TLS": "none"}
        settings.ENV = settings.ENV.model_copy(update={**mailing, "PUBLIC_URL": "https://quota.example.com"})
        mails.send_reset("ana@example.com", language="es")
    assert server.mails[0]["Subject"] == "Ein neues Passwort für Quota"
