"""The language of pages: the reader's; and of everything that programs read: English."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation
from django.utils.formats import date_format, reset_format_cache

from quota_platform import formats, languages
from tenants.models import ApiKey, Tenant

GERMAN = {"Accept-Language": "de-CH,de;q=0.9"}


@pytest.fixture
def root(client: Client, admin_user: User) -> Client:
    client.force_login(admin_user)
    return client


def test_a_language_of_a_region_is_found_as_gettext_names_it(tmp_path: Path) -> None:
    for name in ("pt_BR", "de", "eo-x"):
        (tmp_path / name).mkdir()
        (tmp_path / name / languages.CATALOGUE).write_text("{}")
    assert languages.found(tmp_path) == [("de", "Deutsch"), ("eo-x", "Eo-x"), ("pt-br", "Português brasileiro")]


def test_a_page_is_in_the_language_that_the_browser_asks_for(root: Client) -> None:
    response = root.get("/dashboard/tenants/", headers=GERMAN)
    assert '<html lang="de">' in response.content.decode()
    assert "Noch kein Mandant" in response.content.decode()
    assert response["Content-Language"] == "de"
    assert {"Accept-Language", "Cookie"} <= set(response["Vary"].split(", "))


def test_a_language_without_a_catalogue_becomes_english(root: Client) -> None:
    response = root.get("/dashboard/tenants/", headers={"Accept-Language": "ja"})
    assert "No tenant yet" in response.content.decode()


def test_a_chosen_language_is_kept_and_counts_more_than_the_browsers(root: Client) -> None:
    response = root.post("/language/", {"language": "es", "next": "/dashboard/tenants/"})
    assert response["Location"] == "/dashboard/tenants/"
    assert "Todavía ningún inquilino" in root.get("/dashboard/tenants/", headers=GERMAN).content.decode()
    assert '<html lang="es"' in root.get("/admin/", headers=GERMAN).content.decode()


def test_choosing_a_language_leads_to_no_other_site(root: Client) -> None:
    response = root.post("/language/", {"language": "es", "next": "https://elsewhere.test/"})
    assert response["Location"] == "/"


def test_the_api_says_the_same_in_every_language(root: Client) -> None:
    for wanted in (None, GERMAN):
        response = root.post("/api/tenants/", {}, content_type="application/json", headers=wanted)
        assert response.json()["errors"]["tenant_id"] == ["This field is required."]
        assert "Content-Language" not in response


def test_the_effect_of_an_action_is_in_the_readers_language(root: Client, acme: Tenant) -> None:
    asked = {"tenant": "acme", "kind": "increase", "factor": 1.5, "minutes": 15, "reason": "launch"}
    url = "/dashboard/api/actions/overrides/"
    effect = root.post(url, asked, content_type="application/json", headers=GERMAN).json()["effect"]
    assert effect.startswith("Acme, jede Aktion: jedes Limit wird für 15 Minuten mit 1,5 multipliziert")


def test_after_a_page_the_worker_speaks_english_again(root: Client) -> None:
    root.get("/dashboard/tenants/", headers=GERMAN)
    assert translation.get_language() == "en"


def test_a_refused_form_says_why_in_the_readers_language(root: Client) -> None:
    asked = {"name": "Acme", "preset": "generic_oauth2", "base_url": "http://127.0.0.1/", "token_url": ""}
    page = root.post("/admin/tenants/connection/add/", asked, headers=GERMAN).content.decode()
    assert "Verwenden Sie https; nur für Tests eingestellte Hosts dürfen über http erreicht werden." in page
    assert "Die Vorlage „Beliebige OAuth2-API“ braucht dieses Feld." in page


def test_the_same_refusal_is_english_to_a_program(root: Client) -> None:
    asked = {"name": "Acme", "preset": "generic_oauth2", "base_url": "http://127.0.0.1/", "token_url": ""}
    response = root.post("/api/connections/", asked, content_type="application/json", headers=GERMAN)
    assert response.json()["errors"]["base_url"] == ["Use https; only hosts set for tests may be reached over http."]


def test_a_word_that_has_a_colour_in_lists_is_plain_text_in_a_form(root: Client, acme: Tenant) -> None:
    ApiKey.objects.issue(tenant=acme, name="IVR")
    page = root.get(f"/admin/tenants/tenant/{acme.pk}/change/", headers=GERMAN).content.decode()
    (keys,) = re.findall(r"(?s)<td[^>]*field-state[^>]*>(.*?)</td>", page)
    assert re.sub(r"<[^>]*>", "", keys).strip() == "aktiv"


@pytest.mark.parametrize("language", [code for code, _ in settings.LANGUAGES])
def test_every_language_with_a_catalogue_writes_dates_that_sort(language: str) -> None:
    with translation.override(language):
        assert date_format(datetime(2030, 5, 2, 12, 3, 4, tzinfo=UTC), "DATETIME_FORMAT") == "2030-05-02 12:03:04"


def test_a_new_language_writes_dates_that_sort_without_a_module_of_its_own() -> None:
    formats.cover(["pt-br"])
    reset_format_cache()
    try:
        with translation.override("pt-br"):
            assert date_format(datetime(2030, 5, 2, 12, 3, 4, tzinfo=UTC), "DATETIME_FORMAT") == "2030-05-02 12:03:04"
    finally:
        reset_format_cache()
