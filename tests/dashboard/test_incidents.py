"""The pages of incidents: filters, facts, and none of a stranger's."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from dashboard import incidents, listing
from limiter.alerts import mutes
from limiter.incidents.stretches import OTHERS
from limiter.models import Alert, AuditEntry, TeamEntry
from tenants.models import Membership, Tenant
from tests.limiter.alerts.given import alert
from tests.limiter.incidents.given import incident, minutes, refusal
from tests.people import browser, member

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana(acme: Tenant) -> User:
    return member("ana", acme)


def found(asked: dict[str, str], person: User) -> list[str]:
    return [line.incident.limit_name for line in incidents.page(asked, person=person).rows]


@pytest.mark.parametrize(
    ("asked", "limits"),
    [
        ({}, ["hour", "minute"]),
        ({"state": "open"}, ["hour"]),
        ({"state": "over", "tenant": "acme"}, ["minute"]),
        ({"limit": "hour", "action": "lookupOrder"}, ["hour"]),
        ({"tenant": "globex"}, []),
        ({"since": "2030-05-02T12:11"}, ["hour"]),
        ({"until": "2030-05-02T12:05"}, ["minute"]),
        ({"since": "2030-05-02T12:10", "until": "2030-05-03"}, ["hour", "minute"]),
    ],
)
def test_incidents_are_filtered_by_the_address(ana: User, asked: dict[str, str], limits: list[str]) -> None:
    incident(last_at=minutes(10), ended_at=minutes(25))
    incident(limit_name="hour", at=minutes(20), last_at=minutes(20))
    incident(tenant_id="globex", limit_name="globex-minute")
    assert found(asked, ana) == limits


def test_a_time_that_cannot_be_read_is_named_with_its_remedy(ana: User) -> None:
    for page in ("incidents", "refusals"):
        shown = browser(ana).get(f"/dashboard/{page}/?until=yesterday").content.decode()
        assert "Until: give a day or a time, such as 2026-07-14T10:42." in shown


@pytest.mark.parametrize(
    ("sort", "numbers"), [("time", "123"), ("-time", "321"), ("tenant", "231"), ("limit", "321"), ("-calls", "132")]
)
def test_incidents_are_sorted_by_the_address(ana: User, globex: Tenant, sort: str, numbers: str) -> None:
    Membership.objects.create(user=ana, tenant=globex)
    incident(tenant_id="globex", limit_name="three", at=minutes(1), refusals=9)
    incident(limit_name="minute-2", at=minutes(2), refusals=1)
    incident(limit_name="hour", tenant_id="globex", at=minutes(3), refusals=5)
    names = {"1": "three", "2": "minute-2", "3": "hour"}
    assert found({"sort": sort}, ana) == [names[number] for number in numbers]


def test_an_incident_has_its_times_in_the_zone_of_the_address(ana: User) -> None:
    row = incident(acknowledged_at=minutes(1), acknowledged_by="ben")
    shown = browser(ana).get(f"/dashboard/incidents/{row.pk}/?tz=Asia/Kolkata").content.decode()
    assert "From 2030-05-02 17:30:00 to 2030-05-02 17:30:00 IST" in shown and "2030-05-02 17:31:00 IST by ben" in shown
    again = browser(ana).get(f"/dashboard/incidents/{row.pk}/").content.decode()
    assert "2030-05-02 12:01:00 UTC by ben" in again


def test_incidents_come_a_page_at_a_time_and_none_twice(ana: User) -> None:
    rows = [incident(limit_name=f"limit-{number}") for number in range(listing.PAGE_SIZE + 3)]
    first = incidents.page({}, person=ana)
    older = incidents.page(dict([first.older.split("=")]), person=ana)
    seen = [line.incident.pk for line in (*first.rows, *older.rows)]
    assert (seen, older.older) == ([row.pk for row in reversed(rows)], "")


@pytest.mark.parametrize(("at", "state"), [(0.5, "stop"), (2, "lately")])
def test_an_incident_refuses_for_a_minute_and_has_refused_lately_until_it_is_over(
    ana: User, at: float, state: str
) -> None:
    row = incident()
    assert incidents.page({}, person=ana, now=minutes(at)).rows[0].state == state
    row.ended_at = minutes(15)
    row.save()
    assert incidents.page({}, person=ana, now=minutes(at)).rows[0].state == "ok"


def test_the_most_refused_keys_come_first_and_the_rest_is_one_number(ana: User) -> None:
    by_key = {OTHERS: 9, "a": 1, "b": 7, **{f"k{number}": 2 for number in range(5)}}
    incident(by_key=by_key)
    keys = incidents.page({}, person=ana).rows[0].keys
    assert (keys[0], keys[-1], len(keys)) == (("b", 7), ("", 12), 6)


def test_an_incident_shows_its_alerts_and_its_refusals_and_no_others(ana: User) -> None:
    row = incident(last_at=minutes(2), refusals=41, effective_limit=62, p95_ms=1410.0, p95_samples=80, threshold_ms=800)
    alert(at=minutes(-1), threshold=95)
    alert(at=minutes(-60), ended_at=minutes(-50), ending=Alert.Ending.FELL, threshold=81)
    alert(at=minutes(0), limit_name="hour", threshold=82)
    alert(at=minutes(2.02), threshold=100)  # what the last refusal started
    for at in (-1, 0, 2, 3):
        refusal(at, decision_id=f"at-{at}")
    shown = browser(ana).get(f"/dashboard/incidents/{row.pk}/").content.decode()
    assert "Acme: 41 calls refused" in shown
    assert "to 62 of 100 at the lowest" in shown and "p95 1,410 ms over 80 calls, threshold 800 ms" in shown
    reached = [threshold for threshold in (81, 82, 95, 100) if f"{threshold} % reached" in shown]
    assert reached == [95, 100]
    incident(at=minutes(-30), last_at=minutes(-30), ended_at=minutes(-15), pk=row.pk + 1)
    assert "% reached" not in browser(ana).get(f"/dashboard/incidents/{row.pk + 1}/").content.decode()
    assert [f"at-{at}<" in shown for at in (-1, 0, 2, 3)] == [False, True, True, False]


def test_the_list_shows_at_each_incident_what_the_team_did(ana: User) -> None:
    row = incident(acknowledged_by="ana", owner="ben")
    incident(limit_name="untouched")
    now = timezone.now()
    mutes.put(("acme", "lookupOrder", "minute"), until=now + timedelta(hours=1), by="ana", now=now)
    for text, at in (("The unit is slow.", now - timedelta(minutes=5)), ("It recovers.", now)):
        TeamEntry.objects.create(incident=row, by="ben", kind="note", tenant_id="acme", text=text, at=at)
    page = browser(ana).get("/dashboard/incidents/").content.decode()
    done = " ".join(re.search(r'class="done[^>]*>(.*?)</span>', page, re.S).group(1).split())  # type: ignore[union-attr]
    assert re.fullmatch(r"acknowledged by ana, ben has it, muted until [-0-9: ]+ UTC, 2 notes", done)
    assert "It recovers." in page and page.count('class="done') == 1


def test_an_incident_is_downloaded_as_a_pdf(ana: User) -> None:
    row = incident()
    response = browser(ana).get(f"/dashboard/incidents/{row.pk}.pdf")
    assert response.content.startswith(b"%PDF") and f"incident-{row.pk}.pdf" in response["Content-Disposition"]


def test_a_person_of_one_tenant_finds_no_incident_of_another(ana: User, globex: Tenant) -> None:
    theirs = incident(tenant_id="globex")
    client = browser(ana)
    assert b"Globex" not in client.get("/dashboard/incidents/?tenant=globex").content
    for number in (theirs.pk, theirs.pk + 1, 10**30):  # a stranger learns nothing from the difference
        for page in (f"/dashboard/incidents/{number}/", f"/dashboard/incidents/{number}.pdf"):
            response = client.get(page)
            assert response.status_code == 403 and b"globex" not in response.content.lower()
    assert found({"before": str(theirs.pk)}, ana) == []
    assert Client().get(f"/dashboard/incidents/{theirs.pk}/").status_code == 302


def test_a_change_of_a_row_without_a_name_is_followed_by_its_reason(ana: User) -> None:
    kind = {"kind": "override.created", "payload": {"reason": "spring campaign", "before": {}, "after": {"id": 1}}}
    AuditEntry.objects.create(tenant_id="acme", position=10_000, at=minutes(-5), hash="0", actor="", **kind)
    page = browser(ana).get(f"/dashboard/incidents/{incident().pk}/").content.decode()
    assert "<strong>Override created</strong>: spring campaign" in page
