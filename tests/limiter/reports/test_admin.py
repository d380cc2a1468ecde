"""Exports in the admin: ordered, cancelled, fetched by who asked, closed to others."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from limiter.models import Export
from limiter.reports import build, periods
from tenants.models import Tenant
from tests.limiter.reports.given import event, export
from tests.people import browser, member

pytestmark = pytest.mark.django_db
FORM = {
    "kind": "events",
    "format": "jsonl",
    "since_0": "2030-05-02",
    "since_1": "00:00:00",
    "until_0": "2030-05-03",
    "until_1": "00:00:00",
    "tenants": ["acme", "globex"],
    "period": "",
}


def client(name: str) -> Client:
    user = User.objects.create_user(name, is_staff=True)
    rights = ("add_export", "view_export", "view_throttleevent", "view_tenant")
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    signed_in = Client()
    signed_in.force_login(user)
    return signed_in


def test_an_export_is_ordered_and_fetched_and_a_stranger_gets_nothing() -> None:
    event(1)
    ana, stranger = client("ana"), client("stranger")
    assert ana.post("/admin/limiter/export/add/", FORM).status_code == 302
    order = Export.objects.get()
    assert (order.tenants, order.requested_name) == (["acme", "globex"], "ana")
    build.build(order.pk)
    order.refresh_from_db()
    for end, name in (("download", order.file_name), ("manifest", f"{order.file_name}.manifest.json")):
        url = f"/admin/limiter/export/{order.pk}/{end}/"
        response = ana.get(url)
        assert (response.status_code, response["Content-Disposition"]) == (200, f'attachment; filename="{name}"')
        assert stranger.get(url).status_code == 404
    assert str(order.pk) not in stranger.get("/admin/limiter/export/").content.decode()


def test_an_export_that_cannot_be_built_is_refused_by_the_form() -> None:
    response: Any = client("ana").post("/admin/limiter/export/add/", {**FORM, "format": "pdf"})
    assert response.status_code == 200 and "format" in response.context["adminform"].form.errors


def test_a_time_is_chosen_by_its_name_or_has_a_start_and_an_end() -> None:
    ana = client("ana")
    no_times = {**FORM, "since_0": "", "since_1": "", "until_0": "", "until_1": ""}
    response: Any = ana.post("/admin/limiter/export/add/", no_times)
    assert set(response.context["adminform"].form.errors) == {"since", "until"}
    assert ana.post("/admin/limiter/export/add/", {**no_times, "period": "last_month"}).status_code == 302
    order = Export.objects.get()
    assert order.since.day == order.until.day == 1 and order.until <= timezone.now()


def test_an_export_is_in_utc_whatever_zone_the_person_reads_pages_in(acme: Tenant) -> None:
    event(1, at=datetime(2030, 5, 2, 22, 15, tzinfo=UTC))
    ana, form = browser(member("ana", acme)), {**FORM, "tenants": ["acme"]}
    ana.post("/dashboard/zone/", {"zone": "Asia/Kolkata", "next": "/dashboard/"})
    assert "2030-05-03 03:45" in ana.get("/dashboard/refusals/").content.decode(), "her pages are in her zone"
    assert ana.post("/admin/limiter/export/add/", form).status_code == 302
    order = Export.objects.get()
    assert order.since == datetime(2030, 5, 2, tzinfo=UTC) and order.until == datetime(2030, 5, 3, tzinfo=UTC)
    build.build(order.pk)
    order.refresh_from_db()
    file = b"".join(ana.get(f"/admin/limiter/export/{order.pk}/download/"))
    assert json.loads(file)["at"] == "2030-05-02T22:15:00+00:00"
    assert ana.post("/admin/limiter/export/add/", {**form, "period": "yesterday"}).status_code == 302
    assert Export.objects.latest("pk").since.astimezone(UTC).hour == 0


@pytest.mark.parametrize(
    ("period", "since", "until"),
    [
        ("yesterday", "2030-03-05", "2030-03-06"),
        ("last_week", "2030-02-25", "2030-03-04"),
        ("last_month", "2030-02-01", "2030-03-01"),
    ],
)
def test_a_named_time_is_whole_days_before_now(period: str, since: str, until: str) -> None:
    found = periods.span(period, datetime(2030, 3, 6, 15, 30, tzinfo=UTC))  # a Wednesday
    assert [f"{each:%Y-%m-%d %H:%M}" for each in found] == [f"{since} 00:00", f"{until} 00:00"]


def names(signed_in: Client, kind: str, term: str = "", page: str = "1") -> Any:
    return signed_in.get(f"/admin/limiter/export/names/{kind}/", {"term": term, "page": page})


def test_the_form_offers_names_of_rows_that_the_person_sees(acme: Tenant, globex: Tenant, base_policy: Any) -> None:
    ana = browser(member("ana", acme))
    assert names(ana, "tenants").json()["results"] == [{"id": "acme", "text": "Acme (acme)"}]
    assert names(ana, "actions").json()["results"] == [{"id": "lookupOrder", "text": "lookupOrder"}]
    assert names(ana, "policies", "bas").json()["results"] == [{"id": "Base", "text": "Base"}]
    assert names(ana, "tenants", "globex").json()["results"] == []
    assert names(ana, "actions", "createCase").json()["results"] == []
    assert names(ana, "people").status_code == 404
    assert names(browser(member("gus", acme, without=("add_export",))), "tenants").status_code == 403


def test_names_come_in_pages(acme: Tenant) -> None:
    rows = [Tenant(tenant_id=f"t{n:03}", name=f"t{n:03}", connection=acme.connection) for n in range(25)]
    Tenant.objects.bulk_create(rows)
    ana = browser(member("ana", *Tenant.objects.filter(tenant_id__startswith="t")))
    first, second = (names(ana, "tenants", page=page).json() for page in ("1", "2"))
    assert (len(first["results"]), first["pagination"]["more"]) == (20, True)
    assert (len(second["results"]), second["pagination"]["more"]) == (5, False)
    for odd in ("0", "-1", "x", "9" * 30):
        assert names(ana, "tenants", page=odd).status_code == 200


def test_the_selected_exports_are_cancelled() -> None:
    ana = client("ana")
    order = export(requested_by=User.objects.get(username="ana"))
    ana.post("/admin/limiter/export/", {"action": "cancel_selected", "_selected_action": [str(order.pk)]})
    order.refresh_from_db()
    assert order.state == "cancelled"
