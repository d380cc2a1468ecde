"""Saved reports: each period once, with the rights of the day, even if a task comes twice or too late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from limiter.models import AuditEntry, Export, ReportSchedule
from limiter.reports import rhythm, schedules
from quota_platform import beat
from tenants.models import Membership, Tenant
from tests.api_client import editor, errors, person, signed_in
from tests.filled_form import filled_form
from tests.people import browser, member

pytestmark = pytest.mark.django_db
FRIDAY = datetime(2030, 5, 3, 6, 30, tzinfo=UTC)
API, ADMIN = "/api/report-schedules/", "/admin/limiter/reportschedule/"
MAY = ("limiter.view_throttleevent", "limiter.add_export", "limiter.view_export", "tenants.view_tenant")
EDIT = tuple(f"limiter.{verb}_reportschedule" for verb in ("view", "add", "change", "delete"))


def owner(name: str = "olga", *tenants: Tenant) -> User:
    user = User.objects.create_user(name)
    for right in (*MAY, *EDIT, *([] if tenants else ["tenants.see_every_tenant"])):
        app, codename = right.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    for tenant in tenants:
        Membership.objects.create(user=user, tenant=tenant)
    return user


def saved(**fields: Any) -> ReportSchedule:
    base: dict[str, Any] = {"name": "Refusals", "kind": "events", "format": "csv.gz", "hour": 6}
    base |= {"armed_at": FRIDAY - timedelta(days=30)}
    row = ReportSchedule(**{**base, **fields})
    row.owner_name = row.owner.get_username() if row.owner else "olga"
    row.save()
    return row


def data(export: Export) -> tuple[str, str, str]:
    return f"{export.since:%Y-%m-%d}", f"{export.until:%Y-%m-%d}", f"{export.due_at:%Y-%m-%dT%H}"


# When.


@pytest.mark.parametrize(
    ("fields", "due", "following"),
    [
        ({"hour": 6}, "2030-05-03T06", "2030-05-04T06"),
        ({"hour": 7}, "2030-05-02T07", "2030-05-03T07"),
        ({"rhythm": "weekly", "weekday": 4}, "2030-05-03T06", "2030-05-10T06"),
        ({"rhythm": "weekly", "weekday": 4, "hour": 7}, "2030-04-26T07", "2030-05-03T07"),
        ({"rhythm": "weekly", "weekday": 5}, "2030-04-27T06", "2030-05-04T06"),
        ({"rhythm": "weekly", "weekday": 0}, "2030-04-29T06", "2030-05-06T06"),
        ({"rhythm": "by_hand"}, None, None),
    ],
)
def test_a_report_is_due_at_its_hour_and_weekday(
    fields: dict[str, Any], due: str | None, following: str | None
) -> None:
    row = ReportSchedule(**{"hour": 6, "armed_at": FRIDAY - timedelta(days=30), **fields})
    found = rhythm.latest(row, FRIDAY), rhythm.following(row, FRIDAY)
    assert tuple(moment and f"{moment:%Y-%m-%dT%H}" for moment in found) == (due, following)


@given(
    now=st.integers(0, 86_400 * 7_000).map(lambda s: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=s)),
    hour=st.integers(0, 23),
    weekday=st.integers(0, 6),
    name=st.sampled_from(["daily", "weekly"]),
)
def test_between_the_last_and_the_next_moment_lies_one_period(
    now: datetime, hour: int, weekday: int, name: str
) -> None:
    row = ReportSchedule(rhythm=name, hour=hour, weekday=weekday, armed_at=datetime(2000, 1, 1, tzinfo=UTC))
    last, following = rhythm.latest(row, now), rhythm.following(row, now)
    assert last is not None and following is not None and last <= now < following
    assert following - last == timedelta(days=1 if name == "daily" else 7)
    assert last.hour == hour and (name == "daily" or last.weekday() == weekday)


# Once.


def test_each_period_is_ordered_once_with_whole_days(django_capture_on_commit_callbacks: Any) -> None:
    row = saved(owner=owner(), days=7)
    assert schedules.order_all(now=FRIDAY) == 1
    assert schedules.order_all(now=FRIDAY + timedelta(hours=20)) == 0
    assert schedules.order_all(now=FRIDAY + timedelta(days=1)) == 1
    assert sorted(data(export) for export in row.exports.all()) == [
        ("2030-04-26", "2030-05-03", "2030-05-03T06"),
        ("2030-04-27", "2030-05-04", "2030-05-04T06"),
    ]
    first = row.exports.earliest("due_at")
    assert (first.requested_name, first.state, first.scope) == ("olga", "waiting", None)


def test_an_ordered_report_is_handed_to_a_builder(
    redis_url: str, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    saved(owner=owner())
    with django_capture_on_commit_callbacks() as handed:
        schedules.order_all(now=FRIDAY)
    assert len(handed) == 1


def test_of_missed_periods_only_the_last_is_made_up_for() -> None:
    row = saved(owner=owner())
    schedules.order_all(now=FRIDAY)
    assert schedules.order_all(now=FRIDAY + timedelta(days=9)) == 1
    assert [data(export)[2] for export in row.exports.order_by("due_at")] == ["2030-05-03T06", "2030-05-12T06"]


def test_a_second_worker_that_saw_no_run_either_orders_none() -> None:
    row = saved(owner=owner())
    moment = rhythm.latest(row, FRIDAY)
    assert moment is not None
    schedules.run(row, moment, due_at=moment)
    with pytest.raises(Exception, match="already exists"):
        schedules.run(row, moment, due_at=moment)
    row.refresh_from_db()
    assert (row.exports.count(), row.refused) == (1, "")


def test_a_new_report_and_one_whose_times_changed_wait_for_their_next_moment() -> None:
    now = timezone.now()
    row = saved(owner=owner(), armed_at=now, hour=(now.hour - 2) % 24)
    assert schedules.order_all(now=now) == 0
    ReportSchedule.objects.update(armed_at=now - timedelta(days=30))
    row.refresh_from_db()
    row.hour = (now.hour - 1) % 24
    row.save()
    assert schedules.order_all(now=now) == 0
    assert schedules.order_all(now=now + timedelta(days=1)) == 1


def test_a_report_that_is_switched_off_or_run_by_hand_is_not_ordered_by_the_clock() -> None:
    saved(owner=owner(), enabled=False)
    saved(owner=owner("otto"), rhythm="by_hand")
    assert schedules.order_all(now=FRIDAY) == 0


def test_the_clock_comes_by_every_minute() -> None:
    assert beat.every_s("limiter.tasks.order_reports") == 60


# With whose rights.


def test_a_run_sees_the_tenants_that_the_owner_sees_then(acme: Tenant, globex: Tenant) -> None:
    olga = owner("olga", acme, globex)
    row = saved(owner=olga)
    schedules.order_all(now=FRIDAY)
    Membership.objects.filter(user=olga, tenant=globex).delete()
    schedules.order_all(now=FRIDAY + timedelta(days=1))
    assert [export.scope for export in row.exports.order_by("due_at")] == [["acme", "globex"], ["acme"]]


@pytest.mark.parametrize("lost", ["right", "sign-in", "account"])
def test_a_run_whose_owner_may_not_export_any_more_is_refused_and_says_so(lost: str) -> None:
    olga = owner()
    row = saved(owner=olga)
    if lost == "right":
        olga.user_permissions.remove(Permission.objects.get(codename="add_export"))
    elif lost == "sign-in":
        User.objects.update(is_active=False)
    else:
        olga.delete()
    assert schedules.order_all(now=FRIDAY) == 0
    assert schedules.order_all(now=FRIDAY + timedelta(minutes=1)) == 0
    export = row.exports.get()
    row.refresh_from_db()
    assert export.state == "failed" and export.error == f"Not ordered: {row.refused}"
    assert ("not export" if lost == "right" else "no more") in row.refused


def test_a_run_that_is_ordered_again_is_not_called_refused() -> None:
    row = saved(owner=owner(), refused="You may not export throttle events.")
    schedules.order_all(now=FRIDAY)
    row.refresh_from_db()
    assert row.refused == ""


# The API.

WEEK = {"name": "Week", "kind": "summary", "format": "pdf", "days": 7, "rhythm": "weekly", "weekday": 0, "hour": 6}


def test_a_report_is_saved_read_and_run_over_the_api(redis_url: str) -> None:
    api = editor("ana")
    made = api.post(API, {**WEEK, "reason": "asked by audit"})
    assert made.status_code == 201
    row = ReportSchedule.objects.get()
    assert (row.owner_name, made.json()["owner_name"], row.days) == ("ana", "ana", 7)
    assert made.json()["next_run"].startswith(f"{rhythm.following(row, timezone.now()):%Y-%m-%dT06:00}")
    ran = api.post(f"{API}{row.pk}/run/")
    assert ran.status_code == 201 and ran.json()["kind"] == "summary"
    export = row.exports.get()
    assert export.due_at is None and export.until - export.since == timedelta(days=7)
    assert AuditEntry.objects.get(kind="report.created").payload["reason"] == "asked by audit"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("days", 0),
        ("days", 367),
        ("hour", 24),
        ("weekday", 7),
        ("rhythm", "hourly"),
        ("kind", "events"),  # no PDF is made of these
        ("policies", ["Base"]),
        ("recipients", ["ana@example.com"]),  # no mail server is set
        ("recipients", "ana@example.com"),
        ("name", ""),
    ],
)
def test_a_report_that_cannot_be_built_is_refused_at_its_field(field: str, value: Any) -> None:
    found = errors(editor().post(API, {**WEEK, field: value}, format="json"))
    assert list(found) == [field if field != "kind" else "format"]
    assert not ReportSchedule.objects.exists()


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("ana@example.org", "REPORT_MAIL_DOMAINS: example.com"),
        ("ana", "no mail address"),
        ("a@b@example.com", "no mail"),
    ],
)
def test_a_report_goes_to_listed_domains_only(settings: Settings, address: str, word: str) -> None:
    settings.ENV = settings.ENV.model_copy(
        update={"EMAIL_HOST": "mail.example.com", "REPORT_MAIL_DOMAINS": ["example.com"]}
    )
    assert word in str(errors(editor().post(API, {**WEEK, "recipients": [address]}, format="json"))["recipients"])
    assert editor("ben").post(API, {**WEEK, "recipients": ["ana@example.com"]}, format="json").status_code == 201


def test_people_see_and_change_their_own_reports_only() -> None:
    olga, otto = owner(), owner("otto")
    mine, other = saved(owner=olga), saved(owner=otto)
    api = signed_in(olga)
    assert [each["id"] for each in api.get(API).json()["results"]] == [mine.pk]
    for path in ("", "run/"):
        assert api.post(f"{API}{other.pk}/{path}").status_code in (404, 405)
    assert api.patch(f"{API}{other.pk}/", {"name": "Mine"}).status_code == 404
    assert not Export.objects.exists()


def test_a_report_that_its_author_may_not_export_is_not_saved() -> None:
    api = person(*EDIT, *MAY)
    assert api.post(API, {**WEEK, "kind": "changes", "format": "jsonl"}).status_code == 403
    assert not ReportSchedule.objects.exists()


# The admin.


def test_the_admin_saves_a_report_says_when_it_runs_and_runs_it(redis_url: str, admin_user: User) -> None:
    root = browser(admin_user)
    form = filled_form(root.get(f"{ADMIN}add/").content) | {"name": "Week", "kind": "summary", "format": "pdf"}
    assert root.post(f"{ADMIN}add/", form | {"days": 7, "rhythm": "weekly", "hour": 5}).status_code == 302
    row = ReportSchedule.objects.get()
    assert (row.owner_name, row.recipients) == ("root", [])
    page = f"{ADMIN}{row.pk}/change/"
    assert "Runs Mondays at 05:00 UTC, the 7 days before; next on" in root.get(page).content.decode()
    assert root.get(f"{ADMIN}{row.pk}/run/").status_code == 302 and not row.exports.exists()
    assert "It is being built" in root.post(f"{ADMIN}{row.pk}/run/", follow=True).content.decode()
    assert row.exports.get().requested_name == "root"
    assert "waiting" in root.get(page).content.decode()


def test_the_admin_refuses_what_could_not_be_built(admin_user: User) -> None:
    root: Client = browser(admin_user)
    form = filled_form(root.get(f"{ADMIN}add/").content) | {"name": "Bad", "kind": "events", "format": "pdf"}
    response = root.post(f"{ADMIN}add/", form)
    assert "A PDF is made of a summary only" in response.content.decode()
    assert not ReportSchedule.objects.exists()


def test_the_admin_shows_nobody_another_s_report(acme: Tenant) -> None:
    row = saved(owner=owner())
    mia = browser(member("mia", acme))
    assert mia.get(f"{ADMIN}{row.pk}/change/").status_code == 302
    assert mia.post(f"{ADMIN}{row.pk}/run/").status_code == 404
    assert f"{ADMIN}{row.pk}/change/" not in mia.get(ADMIN).content.decode()
    assert not row.exports.exists()
