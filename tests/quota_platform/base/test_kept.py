"""Texts that are stored in English, and shown in the reader's language."""

from __future__ import annotations

import pytest
from django.utils import translation

from limiter.alerts import posting
from limiter.upstream import grants
from quota_platform.base import hosts
from quota_platform.base.kept import in_words


def german(text: str | None) -> str:
    with translation.override("de"):
        return in_words(text)


def test_a_kept_text_is_stored_in_english_whatever_the_page() -> None:
    with translation.override("de"), pytest.raises(hosts.HostRefused) as caught:
        hosts.check_url("http://api.example.com", suffixes=["example.com"])
    assert str(caught.value) == "Use https; only hosts set for tests may be reached over http."
    assert german(str(caught.value)).startswith("Verwenden Sie https;")


def test_a_kept_text_is_shown_with_the_values_it_was_stored_with() -> None:
    assert german("answered 503") == "Antwort 503"
    stored = "The host is none of those that ALERT_HOOK_HOSTS lists: hooks.test, b.test."
    assert german(stored) == "Der Host ist keiner von denen, die ALERT_HOOK_HOSTS nennt: hooks.test, b.test."


def test_a_text_that_holds_another_is_shown_whole() -> None:
    error = grants._error(401, {"error": "invalid_client"}, waits_s=None, secrets=())
    assert error.reason == (
        "The token endpoint answered 401 (invalid_client). Check the credentials and the token URL."
    )
    assert german(error.reason) == (
        "Der Token-Endpunkt hat 401 geantwortet (invalid_client). Prüfen Sie die Zugangsdaten und die Token-URL."
    )
    stopped = posting._GIVEN_UP.format(count=5, reason="no connection")
    assert german(stopped) == "5 Nachrichten nacheinander kamen nicht an: keine Verbindung"


@pytest.mark.parametrize("text", ["TICKET-1", "answered the phone", "Action", "", "What a newer release says: 3."])
def test_a_text_of_a_person_or_another_release_is_shown_unchanged(text: str) -> None:
    assert german(text) == text


def test_an_empty_kept_text_is_shown_as_nothing() -> None:
    assert german(None) == ""
