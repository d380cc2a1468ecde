"""Lengths of time as people say them, in every form of the admin that takes seconds."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import translation

from quota_platform.base.admin.seconds import MillisecondsField, PartSecondsField, SecondsField, seconds_of
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


@pytest.mark.parametrize(
    ("typed", "milliseconds", "shown"),
    [
        ("800", 800, "800 ms"),
        ("800 ms", 800, "800 ms"),
        ("1.5 s", 1_500, "1500 ms"),
        ("2,5 sec.", 2_500, "2500 ms"),
        ("1000", 1_000, "1 second"),
        ("2 min", 120_000, "2 minutes"),
        ("0.3 s", 300, "300 ms"),
    ],
)
def test_milliseconds_are_typed_and_shown_as_lengths_and_a_plain_number_stays_one_of_them(
    typed: str, milliseconds: int, shown: str
) -> None:
    field = MillisecondsField()
    assert field.clean(typed) == milliseconds and field.prepare_value(milliseconds) == shown
    assert field.clean(shown) == milliseconds and not field.has_changed(milliseconds, shown)


@pytest.mark.parametrize("typed", ["1.5", "0.1 ms", "soon", "9" * 5_000])
def test_only_whole_milliseconds_are_taken(typed: str) -> None:
    with pytest.raises(ValidationError, match=r"whole milliseconds|800 ms or 1.5 s"):
        MillisecondsField().clean(typed)


@pytest.mark.django_db
def test_thresholds_of_latency_are_typed_as_lengths_of_time(admin_client: Client, connection: Connection) -> None:
    page = f"/admin/tenants/connection/{connection.pk}/change/"
    opened = admin_client.get(page).content
    form = filled_form(opened)
    assert form["slow_above_ms"] == "800 ms" and b"Slow above (p95)" in opened
    assert admin_client.post(page, form | {"slow_above_ms": "1.2 s"}).status_code == 302
    connection.refresh_from_db()
    assert connection.slow_above_ms == 1_200
    assert filled_form(admin_client.get("/admin/limiter/quotapolicy/add/").content)["latency_threshold_ms"] == "800 ms"


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
