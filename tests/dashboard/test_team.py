"""Acts of the team from the live pages and the incident's page, by those who may, on rows that they see."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard import stored
from dashboard.messages import overview_frame
from limiter.models import Alert, TeamEntry
from tenants.models import Tenant
from tests.limiter.alerts.given import alert
from tests.limiter.incidents.given import incident
from tests.people import browser, member

pytestmark = pytest.mark.django_db
URL = "/dashboard/api/actions/team/"
NOBODY: dict[str, Any] = {"platform": {}, "degraded": None}


@pytest.fixture
def ana(acme: Tenant) -> User:
    return member("ana", acme)


def post(client: Client, **asked: Any) -> Any:
    return client.post(URL, asked, content_type="application/json")


def line() -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = overview_frame([], stored.read(["acme"]), **NOBODY)["alerts"]
    return found


def test_what_one_does_about_an_alert_is_in_the_next_frame_of_all(ana: User) -> None:
    row, begun = alert(), incident()
    assert (line()["acknowledged_by"], line()["muted_until_ms"], line()["incident"]) == ("", None, begun.pk)
    client = browser(ana)
    assert post(client, alert=row.pk, kind="acknowledged").json() == {"done": True}
    assert post(client, alert=row.pk, kind="muted", minutes=60).status_code == 200
    assert line()["acknowledged_by"] == "ana" and line()["muted_until_ms"] is not None
    assert post(client, alert=row.pk, kind="unmuted").status_code == 200
    assert line()["muted_until_ms"] is None


def test_a_wish_that_cannot_be_done_says_why(ana: User) -> None:
    row, client = alert(), browser(ana)
    for asked in ({"alert": row.pk + 1}, {"alert": "1"}, {"alert": row.pk, "kind": "note", "text": "x"}):
        response = post(client, **{"kind": "acknowledged", **asked})
        assert response.status_code == 400 and response.json()["detail"]


def test_an_incidents_page_shows_what_was_done_and_why_a_wish_was_not(ana: User) -> None:
    row, client = incident(), browser(ana)
    url = f"/dashboard/incidents/{row.pk}/"
    assert client.post(f"{url}entries/", {"kind": "acknowledged"})["Location"] == url
    assert (
        client.post(f"{url}entries/", {"kind": "handed_over", "to": "ana", "text": "Watch <p95>."}).status_code == 302
    )
    shown = client.get(url).content.decode()
    assert "handed over" in shown and "Watch &lt;p95&gt;." in shown and "Acknowledge for the team" not in shown
    again = client.post(f"{url}entries/", {"kind": "handed_over", "to": "nobody", "text": "x"})
    assert again.status_code == 400
    assert "Give the user name of somebody who may see the tenant." in again.content.decode()
    assert "script-src 'self'" in again["Content-Security-Policy"]


def test_strangers_and_people_without_the_right_do_nothing(ana: User, globex: Tenant, acme: Tenant) -> None:
    row, begun = alert(), incident()
    gil, leaf = browser(member("gil", globex)), browser(member("leaf", acme, without=("add_teamentry",)))
    assert post(gil, alert=row.pk, kind="acknowledged").status_code == 400
    assert gil.post(f"/dashboard/incidents/{begun.pk}/entries/", {"kind": "note", "text": "x"}).status_code == 404
    assert post(leaf, alert=row.pk, kind="acknowledged").status_code == 403
    assert leaf.post(f"/dashboard/incidents/{begun.pk}/entries/", {"kind": "note", "text": "x"}).status_code == 403
    assert b"data-team" not in leaf.get("/dashboard/").content
    assert b"data-team" in browser(ana).get("/dashboard/").content
    assert not TeamEntry.objects.exists() and not Alert.objects.exclude(acknowledged_by="").exists()
    assert browser(ana).get(URL).status_code == 405
