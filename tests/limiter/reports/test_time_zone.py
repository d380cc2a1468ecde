"""The time zone of an export: UTC unless another is chosen; then its days, and each of its times with the offset."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from limiter.models import Export, MultiplierChange, ReportSchedule, UsageMinute
from limiter.reports import build, incomplete, manifest, periods, rhythm, schedules, selection, sources
from limiter.reports.selection import Selection
from quota_platform.base import time_zones
from tenants.models import Tenant
from tests.api_client import editor, errors
from tests.filled_form import filled_form
from tests.limiter.reports.given import event, export
from tests.limiter.reports.test_admin import FORM
from tests.limiter.reports.test_schedules import owner, saved
from tests.people import browser, member

pytestmark = pytest.mark.django_db
BERLIN = "Europe/Berlin"
AUTUMN = datetime(2030, 10, 27, 0, 30, tzinfo=UTC)
"""02:30 in Berlin, for the first time that day; an hour later it is 02:30 again."""
ORDERS = "/api/exports/"
ADD = "/admin/limiter/export/add/"


def twice(**fields: Any) -> Selection:
    """Two events in the hour that comes twice, and the day on which they came."""
    event(1, at=AUTUMN)
    event(2, at=AUTUMN + timedelta(hours=1))
    return selection.of(of_the_day(**fields))


def of_the_day(**fields: Any) -> Export:
    since, until = datetime(2030, 10, 26, 22, tzinfo=UTC), datetime(2030, 10, 27, 23, tzinfo=UTC)
    return export(**{"since": since, "until": until, "time_zone": BERLIN, **fields})


def written(path: Path, chosen: Selection, format: str) -> Path:
    build.write(path, chosen, format=format, rows=sources.rows(chosen))
    return path


def test_csv_and_json_lines_have_each_time_with_its_offset_and_the_zone_in_a_last_column(tmp_path: Path) -> None:
    chosen = twice()
    with gzip.open(written(tmp_path / "a.csv.gz", chosen, "csv.gz"), "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [json.loads(each) for each in written(tmp_path / "a.jsonl", chosen, "jsonl").read_text().splitlines()]
    for found in (rows, lines):
        assert [row["at"] for row in found] == ["2030-10-27T02:30:00+02:00", "2030-10-27T02:30:00+01:00"]
        assert {row["time_zone"] for row in found} == {BERLIN}
        assert list(found[0])[-1] == "time_zone"


def test_a_workbook_has_dates_of_the_zone_that_show_their_offset_and_heads_that_name_it(tmp_path: Path) -> None:
    sheet = openpyxl.load_workbook(written(tmp_path / "a.xlsx", twice(), "xlsx")).worksheets[0]
    heads = [found.value for found in sheet[1]]
    assert "Time (Europe/Berlin)" in heads and heads[-1] == "Time zone"
    at = heads.index("Time (Europe/Berlin)") + 1
    cells: Any = [sheet.cell(row, at) for row in (2, 3)]
    assert all(each.is_date and f"{each.value:%Y-%m-%d %H:%M}" == "2030-10-27 02:30" for each in cells)
    assert [each.number_format[-8:] for each in cells] == ['"+02:00"', '"+01:00"']
    assert sheet.cell(2, len(heads)).value == BERLIN


def test_a_pdf_is_in_the_zone_and_names_it_on_every_page(acme: Tenant, tmp_path: Path) -> None:
    UsageMinute.objects.create(tenant_id="acme", action_id="lookupOrder", start=AUTUMN, allowed=9, refused=1)
    MultiplierChange.objects.create(
        stream_id="m1", at=AUTUMN, tenant_id="acme", before=1, after=0.5, p95_ms=1400, samples=100, threshold_ms=800
    )
    chosen = twice(kind="summary", format="pdf", since=AUTUMN - timedelta(minutes=6), until=AUTUMN + timedelta(hours=1))
    pages = [page.extract_text() for page in PdfReader(written(tmp_path / "a.pdf", chosen, "pdf")).pages]
    assert "2030-10-27 02:24 +02:00 to 2030-10-27 02:30 +01:00" in pages[0]
    assert "fell to 0.5 at 2030-10-27 02:30 +02:00." in pages[0].replace("\n", " ")
    assert all("Times are those of Europe/Berlin, with their offset from UTC." in page for page in pages)
    assert not any("Times are UTC" in page for page in pages)


def test_a_file_in_utc_stays_as_it_was(tmp_path: Path) -> None:
    chosen = twice(time_zone="UTC")
    (first, _) = written(tmp_path / "a.jsonl", chosen, "jsonl").read_text().splitlines()
    assert json.loads(first)["at"] == "2030-10-27T00:30:00+00:00" and "time_zone" not in json.loads(first)
    assert sources.columns(chosen) == sources.COLUMNS[Export.Kind.EVENTS]


def test_the_manifest_states_the_zone_and_verifies_the_file_whatever_it_is(stored: Path) -> None:
    event(1, at=AUTUMN)
    hashes = []
    for name in ("UTC", BERLIN, "Asia/Kolkata"):
        order = of_the_day(time_zone=name, format="jsonl")
        build.build(order.pk)
        order.refresh_from_db()
        path = stored / order.stored_as
        manifest.verify(path, order.manifest, public=manifest.public_key())
        chosen = order.manifest["selection"]
        assert (chosen["time_zone"], chosen["since"]) == (name, "2030-10-26T22:00:00+00:00")
        assert order.manifest["columns"] == list(json.loads(path.read_text()))
        hashes.append(json.loads(path.read_text())["hash"])
    assert len(set(hashes)) == 1, "the chain covers the instant, not the way it is written"


def test_the_name_of_a_file_has_its_zone_unless_that_is_utc() -> None:
    assert of_the_day().file_name == "events-20301027T0000-20301028T0000-Europe-Berlin.csv.gz"
    assert of_the_day(time_zone="UTC").file_name == "events-20301026T2200-20301027T2300.csv.gz"
    assert str(of_the_day()) == "events 2030-10-27 00:00 to 2030-10-28 00:00 (Europe/Berlin)"


# Days.


@pytest.mark.parametrize(
    ("zone", "now", "hours"),
    [
        (BERLIN, datetime(2030, 10, 28, 9, tzinfo=UTC), 25),
        (BERLIN, datetime(2030, 4, 1, 9, tzinfo=UTC), 23),
        (BERLIN, datetime(2030, 7, 1, 9, tzinfo=UTC), 24),
        ("America/Santiago", datetime(2030, 9, 9, 9, tzinfo=UTC), 23),  # that day began at 01:00
    ],
)
def test_yesterday_is_a_whole_day_of_the_zone_however_long_it_was(zone: str, now: datetime, hours: int) -> None:
    since, until = periods.span("yesterday", now.astimezone(ZoneInfo(zone)))
    assert until - since == timedelta(hours=hours)
    assert until.astimezone(ZoneInfo(zone)).hour == 0


INSTANTS = st.integers(0, 86_400 * 7_000).map(lambda s: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=s))
ZONES = st.sampled_from([BERLIN, "America/Santiago", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Cairo", "UTC"])


@given(now=INSTANTS, hour=st.integers(0, 23), weekday=st.integers(0, 6), zone=ZONES)
def test_a_report_runs_once_a_period_by_the_calendar_of_its_zone(
    now: datetime, hour: int, weekday: int, zone: str
) -> None:
    for name, days in (("daily", 1), ("weekly", 7)):
        row = ReportSchedule(
            rhythm=name, hour=hour, weekday=weekday, time_zone=zone, armed_at=datetime(2000, 1, 1, tzinfo=UTC)
        )
        last, following = rhythm.latest(row, now), rhythm.following(row, now)
        assert last is not None and following is not None and last <= now < following
        where = ZoneInfo(zone)
        assert following.astimezone(where).date() - last.astimezone(where).date() == timedelta(days=days)
        assert rhythm.latest(row, following) == following, "the next run is the one that was announced"


@given(now=INSTANTS, zone=ZONES)
def test_the_days_of_two_runs_follow_each_other_without_a_gap(now: datetime, zone: str) -> None:
    row = ReportSchedule(rhythm="daily", hour=6, days=1, time_zone=zone, armed_at=datetime(2000, 1, 1, tzinfo=UTC))
    last, following = rhythm.latest(row, now), rhythm.following(row, now)
    assert last is not None and following is not None
    assert rhythm.covered(row, last)[1] == rhythm.covered(row, following)[0]


def test_a_saved_report_runs_at_its_hour_in_summer_and_in_winter_and_its_files_are_in_its_zone() -> None:
    row = saved(owner=owner(), time_zone=BERLIN, hour=6)
    for now, due in (("2030-10-26T04:00", "2030-10-26T04"), ("2030-10-28T05:30", "2030-10-28T05")):
        assert schedules.order_all(now=datetime.fromisoformat(now).replace(tzinfo=UTC)) == 1
        order = row.exports.latest("due_at")
        assert (f"{order.due_at:%Y-%m-%dT%H}", order.time_zone) == (due, BERLIN)
    assert order.file_name == "events-20301027T0000-20301028T0000-Europe-Berlin.csv.gz"


def test_a_report_whose_zone_was_changed_waits_for_its_next_moment() -> None:
    row = saved(owner=owner(), armed_at=AUTUMN)
    row.save()
    assert row.armed_at == AUTUMN
    row.time_zone = BERLIN
    row.save()
    assert row.armed_at != AUTUMN


def test_a_report_whose_zone_this_machine_does_not_have_is_refused_and_the_others_run() -> None:
    strange, plain = saved(owner=owner(), time_zone="Mars/Olympus"), saved(owner=owner("otto"))
    assert schedules.order_all(now=datetime(2030, 5, 3, 6, 30, tzinfo=UTC)) == 1
    strange.refresh_from_db()
    assert strange.refused == "This is no time zone. Give one like Europe/Berlin or UTC."
    assert plain.exports.get().state == "waiting"


# Choosing it.


def test_the_form_offers_the_person_s_own_zone_first_and_utc_is_chosen(acme: Tenant) -> None:
    ana = browser(member("ana", acme))
    ana.post("/dashboard/zone/", {"zone": "Asia/Kolkata", "next": "/dashboard/"})
    form: Any = ana.get(ADD).context["adminform"].form
    assert form.fields["time_zone"].choices[:2] == [("Asia/Kolkata", "Asia/Kolkata (yours)"), ("UTC", "UTC")]
    assert {name for name, _ in form.fields["time_zone"].choices} == time_zones.names()
    assert filled_form(ana.get(ADD).content)["time_zone"] == "UTC"


def test_times_that_are_typed_into_the_form_are_times_of_the_zone(acme: Tenant) -> None:
    ana = browser(member("ana", acme))
    form = {**FORM, "tenants": ["acme"], "time_zone": BERLIN}
    assert ana.post(ADD, form).status_code == 302
    order = Export.objects.get()
    assert order.since == datetime(2030, 5, 1, 22, tzinfo=UTC) and order.until == datetime(2030, 5, 2, 22, tzinfo=UTC)
    assert order.time_zone == BERLIN
    assert ana.post(ADD, {**form, "period": "yesterday"}).status_code == 302
    latest = Export.objects.latest("created_at")
    assert latest.since.astimezone(ZoneInfo(BERLIN)).hour == 0
    midnight = timezone.now().astimezone(ZoneInfo(BERLIN)).replace(hour=0, minute=0, second=0, microsecond=0)
    assert latest.until == midnight.astimezone(UTC)


def test_a_typed_time_that_comes_twice_or_never_in_the_zone_is_refused_at_its_field(acme: Tenant) -> None:
    ana = browser(member("ana", acme))
    form = {**FORM, "time_zone": BERLIN, "until_0": "2030-12-01"}
    for day in ("2030-10-27", "2030-03-31"):
        response: Any = ana.post(ADD, {**form, "since_0": day, "since_1": "02:30:00"})
        assert list(response.context["adminform"].form.errors) == ["since"]


def test_a_wrong_zone_is_refused_at_its_field_with_the_remedy(admin_user: User) -> None:
    remedy = "This is no time zone. Give one like Europe/Berlin or UTC."
    root: Client = browser(admin_user)
    response: Any = root.post(ADD, {**FORM, "time_zone": "Berlin"})
    assert response.context["adminform"].form.errors["time_zone"] == [remedy]
    api, day = editor(), {"since": "2030-05-02T00:00:00Z", "until": "2030-05-03T00:00:00Z"}
    wrong = {"kind": "events", "format": "jsonl", "time_zone": "Berlin", **day}
    assert errors(api.post(ORDERS, wrong))["time_zone"] == [remedy]
    assert errors(api.get("/api/events.csv", {**day, "time_zone": "Berlin"}))["time_zone"] == [remedy]
    week = {"name": "Week", "kind": "events", "format": "jsonl", "time_zone": "Berlin"}
    assert errors(api.post("/api/report-schedules/", week, format="json"))["time_zone"] == [remedy]
    assert not Export.objects.exists() and not ReportSchedule.objects.exists()


def test_the_api_orders_in_a_zone_and_keeps_it_with_a_saved_report(redis_url: str) -> None:
    api, day = editor(), {"since": "2030-10-26T22:00:00Z", "until": "2030-10-27T23:00:00Z"}
    made = api.post(ORDERS, {"kind": "events", "format": "jsonl", "time_zone": BERLIN, **day})
    assert made.json()["time_zone"] == BERLIN
    assert api.post(ORDERS, {"kind": "events", "format": "jsonl", **day}).json()["time_zone"] == "UTC"
    event(1, at=AUTUMN)
    reply: Any = api.get("/api/events.csv", {**day, "time_zone": BERLIN})
    text = b"".join(reply.streaming_content).decode()
    assert [row["at"] for row in csv.DictReader(io.StringIO(text))] == ["2030-10-27T02:30:00+02:00"]
    week = {"name": "Week", "kind": "events", "format": "jsonl", "time_zone": BERLIN}
    report = api.post("/api/report-schedules/", week, format="json").json()
    assert report["time_zone"] == BERLIN
    assert api.post(f"/api/report-schedules/{report['id']}/run/").json()["time_zone"] == BERLIN


def test_the_admin_says_when_a_report_runs_in_its_zone(redis_url: str, admin_user: User) -> None:
    row = saved(owner=admin_user, time_zone=BERLIN, hour=5)
    page = browser(admin_user).get(f"/admin/limiter/reportschedule/{row.pk}/change/").content.decode()
    assert "Runs daily at 05:00 Europe/Berlin, the day before; next on" in page
    following = rhythm.following(row, timezone.now())
    assert following is not None
    assert f"{following.astimezone(ZoneInfo(BERLIN)):%Y-%m-%d} 05:00 Europe/Berlin" in page


def test_the_command_takes_a_zone_for_the_file_and_for_times_without_an_offset(tmp_path: Path) -> None:
    event(1, at=AUTUMN)
    path, times = tmp_path / "a.jsonl", {"since": "2030-10-27T02:00", "until": "2030-10-27T03:00", "format": "jsonl"}
    call_command("export_events", path, time_zone=BERLIN, verbosity=0, **times)
    assert json.loads(path.read_text())["at"] == "2030-10-27T02:30:00+02:00"
    call_command("verify_export", path)
    with pytest.raises(CommandError, match="no time zone"):
        call_command("export_events", path, time_zone="Berlin", **times)


# Incomplete.


def test_a_summary_whose_ends_need_minutes_that_are_no_longer_kept_says_so() -> None:
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    ends: dict[str, Any] = {"kind": "summary", "since": today - timedelta(days=30), "until": today}
    half = timedelta(minutes=30)
    assert incomplete.notes(selection.of(export(**ends))) == []
    kolkata = {**ends, "since": ends["since"] + half, "until": ends["until"] + half, "time_zone": "Asia/Kolkata"}
    (note,) = incomplete.notes(selection.of(export(**kolkata)))
    assert note.startswith("Usage by the minute, which the ends of this time need, is kept for 14 days: calls before")
    assert "+05:30" in note
