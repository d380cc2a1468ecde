"""Lengths of time as people say them, in every form of the admin that takes seconds."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import translation

from quota_platform.base.admin.seconds import PartSecondsField, SecondsField, seconds_of
from tenants.models import Connection
from tests.filled_form import filled_form


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60", 60),
        ("2 h", 7_200),
        ("2h", 7_200),
        ("1 minute", 60),
        ("minute", 60),
        ("90 sec.", 90),
        ("1 Day", 86_400),
        ("", None),
        ("-5", None),
        ("2 fortnights", None),
        ("1.5 h", 5_400),
        ("2,5", 2.5),
        ("nan", None),
    ],
)
def test_a_length_of_time_is_read_as_people_write_it(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("language", ["en", "de", "es"])
@pytest.mark.parametrize("seconds", [1, 60, 90, 7_200, 86_400, 604_800, 999_999_999, 0, 0.5])
def test_the_shown_length_is_read_again_as_the_same_in_every_language(language: str, seconds: float) -> None:
    with translation.override(language):
        assert seconds_of(str(PartSecondsField().prepare_value(seconds))) == seconds


@pytest.mark.parametrize("typed", ["1.5", "soon", "nan", "9" * 5_000])
def test_only_whole_seconds_are_taken_where_others_cannot_be_stored(typed: str) -> None:
    with pytest.raises(ValidationError):
        SecondsField().clean(typed)


@pytest.mark.django_db
def test_a_connections_times_are_shown_and_typed_as_lengths_of_time(
    admin_client: Client, connection: Connection
) -> None:
    page = f"/admin/tenants/connection/{connection.pk}/change/"
    opened = admin_client.get(page).content
    form = filled_form(opened)
    assert (form["total_deadline_s"], form["max_pause_s"]) == ("80 seconds", "15 minutes")
    assert b"Longest pause" in opened and b"(s)" not in opened
    typed = {"total_deadline_s": "1.5 min", "connect_timeout_s": "2.5", "max_pause_s": "2 h"}
    assert admin_client.post(page, form | typed).status_code == 302
    connection.refresh_from_db()
    assert (connection.total_deadline_s, connection.connect_timeout_s, connection.max_pause_s) == (90, 2.5, 7_200)
    wrong = admin_client.post(page, form | {"max_pause_s": "2 days"})
    assert "max_pause_s" in wrong.context["adminform"].form.errors
