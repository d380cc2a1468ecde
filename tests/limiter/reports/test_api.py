"""``/api/exports`` and ``/api/events.csv``: ordered, fetched, and closed to strangers."""

from __future__ import annotations

import csv
import gzip
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User

from limiter.models import Export
from limiter.reports import build, manifest
from limiter.reports.streaming import in_turn
from tenants.models import Membership, Tenant
from tests.api_client import editor, errors, signed_in
from tests.limiter.reports.given import event, export
from tests.people import member

pytestmark = pytest.mark.django_db
DAY = {"since": "2030-05-02T00:00:00Z", "until": "2030-05-03T00:00:00Z"}


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def person(name: str, *rights: str) -> User:
    user = User.objects.create_user(name)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    return user


def attached(reply: Any) -> str:
    """The name under which a browser or `curl -OJ` saves the response."""
    kind, _, name = reply["Content-Disposition"].partition("; filename=")
    assert kind == "attachment"
    return str(name.strip('"'))


def test_an_export_is_ordered_built_fetched_and_verified() -> None:
    for number in range(3):
        event(number)
    api = editor()
    made = api.post("/api/exports/", {"kind": "events", "format": "csv.gz", "tenants": ["acme"], **DAY})
    assert made.status_code == 201 and made.json()["state"] == "waiting"
    url = f"/api/exports/{made.json()['id']}/"
    assert api.get(url + "download/").status_code == 404
    build.build(made.json()["id"])
    assert api.get(url).json()["rows"] == 3
    lines = gzip.decompress(body(api.get(url + "download/"))).decode().splitlines()
    assert len(lines) == 4
    signed = api.get(url + "manifest/")
    assert attached(signed) == f"{attached(api.get(url + 'download/'))}.manifest.json", "where verify_export looks"
    data = signed.json()
    assert (data["rows"], data["requested_by"], data["public_key"]) == (3, "ana", manifest.public_key())


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("until", {"until": "2030-05-01T00:00:00Z"}),
        ("format", {"format": "pdf"}),
        ("policies", {"kind": "usage", "policies": ["Base"]}),
        ("actions", {"kind": "changes", "actions": ["x"]}),
        ("state", {"state": "done"}),
    ],
)
def test_an_export_that_cannot_be_built_is_refused_by_field(field: str, wrong: dict[str, Any]) -> None:
    assert field in errors(editor().post("/api/exports/", {"kind": "events", "format": "jsonl", **DAY, **wrong}))
    assert not Export.objects.exists()


def test_an_export_is_cancelled() -> None:
    api = editor()
    made = api.post("/api/exports/", {"kind": "events", "format": "jsonl", **DAY}).json()
    assert api.post(f"/api/exports/{made['id']}/cancel/").json()["state"] == "cancelled"


def test_events_stream_at_once_as_csv() -> None:
    event(1)
    event(2, tenant_id="globex")
    reply = editor().get("/api/events.csv", {**DAY, "tenant": "acme"})
    assert [row["decision_id"] for row in csv.DictReader(body(reply).decode().splitlines())] == ["d1"]
    assert "until" in errors(editor("ben").get("/api/events.csv", {"since": DAY["until"], "until": DAY["since"]}))


def test_a_stranger_sees_no_export_no_row_and_no_file() -> None:
    event(1)
    order = export(requested_by=person("owner"))
    build.build(order.pk)
    stranger = editor("stranger")
    assert stranger.get("/api/exports/").json()["results"] == []
    for end in ("", "download/", "manifest/"):
        assert stranger.get(f"/api/exports/{order.pk}/{end}").status_code == 404
    nobody = signed_in(person("nobody"))
    assert nobody.get("/api/exports/").status_code == 403
    assert nobody.get("/api/events.csv", DAY).status_code == 403


def test_a_person_without_tenants_exports_zero_rows() -> None:
    event(1)
    api = signed_in(person("blind", "add_export", "view_export", "view_throttleevent"))
    made = api.post("/api/exports/", {"kind": "events", "format": "csv.gz", **DAY}).json()
    build.build(made["id"])
    assert api.get(f"/api/exports/{made['id']}/").json()["rows"] == 0
    assert len(body(api.get("/api/events.csv", DAY)).splitlines()) == 1


def test_a_right_that_was_taken_away_closes_the_link(acme: Tenant) -> None:
    user = person("leaver", "add_export", "view_export", "view_throttleevent", "view_tenant")
    Membership.objects.create(user=user, tenant=acme)
    order = export(requested_by=user, scope=["acme"])
    build.build(order.pk)
    assert signed_in(user).get(f"/api/exports/{order.pk}/download/").status_code == 200
    user.user_permissions.remove(Permission.objects.get(codename="view_tenant"))
    assert signed_in(User.objects.get(pk=user.pk)).get(f"/api/exports/{order.pk}/download/").status_code == 404


def test_a_person_of_one_tenant_exports_its_rows_only(acme: Tenant, globex: Tenant) -> None:
    event(1)
    event(2, tenant_id="globex")
    api = signed_in(member("ana", acme))
    for tenants in ([], ["acme", "globex"], ["globex"]):
        made = api.post("/api/exports/", {"kind": "events", "format": "jsonl", "tenants": tenants, **DAY}).json()
        build.build(made["id"])
        url = f"/api/exports/{made['id']}/"
        assert api.get(url).json()["rows"] == (0 if tenants == ["globex"] else 1)
        assert b'"globex"' not in body(api.get(url + "download/"))
    assert b"globex" not in body(api.get("/api/events.csv", DAY))
    assert len(body(api.get("/api/events.csv", {**DAY, "tenant": "globex"})).splitlines()) == 1


def test_a_membership_that_ends_before_the_file_is_built_keeps_its_rows_out(acme: Tenant, globex: Tenant) -> None:
    event(1)
    event(2, tenant_id="globex")
    user = member("ana", acme, globex)
    api = signed_in(user)
    made = api.post("/api/exports/", {"kind": "events", "format": "jsonl", **DAY}).json()
    Membership.objects.filter(user=user, tenant=globex).delete()
    build.build(made["id"])
    url = f"/api/exports/{made['id']}/"
    assert b'"globex"' not in body(api.get(url + "download/"))
    assert api.get(url + "manifest/").json()["selection"]["scope"] == ["acme"]


def test_a_membership_that_ends_closes_the_files_that_hold_its_rows(acme: Tenant, globex: Tenant) -> None:
    user = member("ana", acme, globex)
    api = signed_in(user)
    orders = [export(requested_by=user, scope=names) for names in (["acme"], ["acme", "globex"], None)]
    for order in orders:
        build.build(order.pk)
    Membership.objects.filter(user=user, tenant=globex).delete()
    responses = [api.get(f"/api/exports/{order.pk}/download/").status_code for order in orders]
    assert responses == [200, 404, 404]


def test_the_right_to_export_is_no_way_round_the_right_to_read() -> None:
    api = signed_in(person("clerk", "add_export", "view_export", "view_throttleevent", "view_tenant"))
    assert api.post("/api/exports/", {"kind": "changes", "format": "jsonl", **DAY}).status_code == 403


async def test_pieces_come_in_turn_on_the_event_loop() -> None:
    assert [piece async for piece in in_turn(["a", "b"])] == ["a", "b"]
