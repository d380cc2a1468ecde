"""The dashboard's page shells: who gets them, under which policy, and with which refusals."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard import listing, refusals
from limiter import clients
from limiter.core import keys
from limiter.models import ThrottleEvent
from limiter.upstream import health
from limiter.upstream.health import ConnectionFault
from tenants.models import Connection, Membership, Tenant
from tests.people import member

PAGES = (
    "/dashboard/",
    "/dashboard/tenants/",
    "/dashboard/tenants/acme/",
    "/dashboard/connections/",
    "/dashboard/incidents/",
    "/dashboard/refusals/",
)
AT = datetime(2026, 7, 14, 10, 42, tzinfo=UTC)


@pytest.fixture
def ana(client: Client, admin_user: User) -> Client:
    client.force_login(admin_user)
    return client


@pytest.fixture
def stranger(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_user("stranger", password="a-long-test-password"))
    return client


def refusal(number: int, *, tenant_id: str = "acme", **values: object) -> ThrottleEvent:
    fields: dict[str, object] = {
        "stream_id": f"{tenant_id}-{number}",
        "at": AT - timedelta(seconds=number),
        "tenant_id": tenant_id,
        "action_id": "lookupOrder",
        "decision_id": f"decision-{number}",
        "policy_name": "Base",
        "policy_version": 3,
        "limit_name": "minute",
        "used": 100,
        "quota": 100,
        "effective_limit": 100,
        "multiplier": 1.0,
        "cost": 1,
    }
    return ThrottleEvent.objects.create(**{**fields, **values})


@pytest.mark.parametrize("page", PAGES)
def test_every_page_leads_a_visitor_to_the_sign_in(client: Client, db: None, page: str) -> None:
    response = client.get(page)
    assert response.status_code == 302
    assert response["Location"] == f"/accounts/sign-in/?next={page}"


@pytest.mark.parametrize("page", [*PAGES, "/dashboard/?wallboard=1"])
def test_every_page_opens_for_someone_who_may_see_it(ana: Client, acme: Tenant, page: str) -> None:
    assert ana.get(page).status_code == 200


@pytest.mark.parametrize("page", [*PAGES, "/accounts/sign-in/", "/dashboard/tenants/nobody/"])
def test_every_page_carries_the_strict_policy_and_nothing_inline(ana: Client, acme: Tenant, page: str) -> None:
    response = ana.get(page)
    policy = response["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "connect-src 'self' ws://testserver" in policy
    html = response.content.decode()
    assert not re.search(r"<script(?![^>]*\b(?:src=|type=\"application/json\"))|<style|\sstyle=|\son[a-z]+=", html)


def test_a_stranger_learns_nothing_of_a_tenant(stranger: Client, acme: Tenant) -> None:
    theirs, nobodys = stranger.get("/dashboard/tenants/acme/"), stranger.get("/dashboard/tenants/nobody/")
    assert theirs.status_code == nobodys.status_code == 403
    assert b"Acme" not in theirs.content
    assert b"No tenant yet" in stranger.get("/dashboard/tenants/").content


def test_a_person_of_one_tenant_finds_nothing_of_another(client: Client, acme: Tenant, globex: Tenant) -> None:
    client.force_login(member("ana", acme))
    refusal(1)
    refusal(2, tenant_id="globex")
    pages = [client.get(page).content for page in (*PAGES, "/dashboard/refusals/?tenant=globex", "/admin/")]
    assert not any(b"Globex" in page or b"decision-2" in page for page in pages)
    assert b"decision-1" in client.get("/dashboard/refusals/").content
    assert b"This call was refused" not in client.get("/dashboard/refusals/?decision=decision-2").content
    assert client.get("/dashboard/tenants/globex/").status_code == 403
    Membership.objects.all().delete()
    assert client.get("/dashboard/tenants/acme/").status_code == 403
    assert b"decision-1" not in client.get("/dashboard/refusals/").content


def test_a_connection_has_its_state_its_tenants_and_its_shared_limits(
    ana: Client, acme: Tenant, globex: Tenant
) -> None:
    Connection.objects.update(learns_in_flight=True, shared=True)
    ghost = Connection.objects.create(name="nobodys", is_sandbox=True, base_url="http://127.0.0.1:8801")
    html = ana.get("/dashboard/connections/").content.decode()
    assert "Can be used" in html and ghost.name not in html
    assert html.count('href="/dashboard/tenants/acme/"') == html.count('href="/dashboard/tenants/globex/"') == 1
    assert "calls in flight (learned)</a>" in html and f"/admin/tenants/connection/{acme.connection_id}/change/" in html
    Connection.objects.update(enabled=False)
    assert "Switched off" in ana.get("/dashboard/connections/").content.decode()


def test_the_connections_are_in_the_navigation_of_everyone_and_the_exports_of_those_who_may(
    client: Client, acme: Tenant
) -> None:
    client.force_login(member("ana", acme, without=("add_export",)))
    html = client.get("/dashboard/connections/").content.decode()
    nav = html[html.index("<nav") : html.index("</nav>")]
    assert '<a href="/dashboard/connections/" aria-current="page">Connections</a>' in nav and "Exports" not in nav
    client.force_login(member("eve", acme))
    assert "Exports" in client.get("/dashboard/").content.decode()


def test_a_fault_of_a_connection_stands_in_the_list(ana: Client, acme: Tenant, redis_url: str) -> None:
    fault = ConnectionFault("wrong secret", 0.0, 0.0, 1, lasting=True, fingerprint="")
    with clients.shared_client() as store:
        store.set(keys.health(str(acme.connection.uid)), health.dump(fault))
    html = ana.get("/dashboard/connections/").content.decode()
    assert "Cannot be used" in html and "wrong secret" in html


def test_a_connection_whose_calls_are_held_back_is_listed_as_such(ana: Client, acme: Tenant, redis_url: str) -> None:
    until = datetime.now(UTC) + timedelta(minutes=5)
    with closing(clients.client()) as store:
        store.set(keys.pause(acme.connection_id), f"{round(until.timestamp() * 1e6)}|429|0|0|")
    html = ana.get("/dashboard/connections/").content.decode()
    assert "Held back" in html and f"until {until:%H:%M:%S} UTC" in html and "Can be used" not in html


def test_of_a_connection_a_member_sees_the_own_tenants(client: Client, acme: Tenant, globex: Tenant) -> None:
    unit = Connection.objects.create(name="globex-unit", is_sandbox=True, base_url="http://127.0.0.1:8801")
    client.force_login(member("ana", acme))
    assert "globex" not in client.get("/dashboard/connections/").content.decode().lower()
    Tenant.objects.filter(pk=globex.pk).update(connection=unit)
    assert "globex" not in client.get("/dashboard/connections/").content.decode().lower()


def test_a_shortened_address_leads_to_the_list_above_it(ana: Client, stranger: Client, acme: Tenant) -> None:
    ana.force_login(User.objects.get(username="root"))
    place = f"/dashboard/connections/#connection-{acme.connection_id}"
    for path in ("", "limits/"):
        assert ana.get(f"/dashboard/connections/{acme.connection_id}/{path}")["Location"] == place
    assert ana.get("/dashboard/exports/")["Location"] == "/admin/limiter/export/"
    stranger.force_login(User.objects.get(username="stranger"))
    assert stranger.get("/dashboard/exports/").status_code == 403
    assert b"sandbox" not in stranger.get("/dashboard/connections/").content


def test_a_stranger_reads_no_refusal(stranger: Client, acme: Tenant) -> None:
    refusal(1)
    assert b"lookupOrder" not in stranger.get("/dashboard/refusals/").content
    assert b"lookupOrder" not in stranger.get("/dashboard/refusals/?decision=decision-1").content


def test_a_refusal_says_why(ana: Client, acme: Tenant) -> None:
    refusal(1, effective_limit=62, used=62, multiplier=0.62)
    html = ana.get("/dashboard/refusals/?decision=decision-1").content.decode()
    assert "This call was refused: 62 of 62 units" in html
    assert ", cut to 62% of 100" in html
    assert "Base, version 3" in html


def test_a_call_that_the_upstream_did_not_take_was_refused_by_no_limit(ana: Client, acme: Tenant) -> None:
    refusal(1, limit_name="(upstream)", used=1, quota=1, effective_limit=1, policy_name="", count=1_059)
    html = ana.get("/dashboard/refusals/?decision=decision-1").content.decode()
    assert "no limit: the upstream took no calls" in html
    assert "1,059 calls like this were held back: the upstream had asked an earlier call to wait" in html
    assert ">1,059 calls<" in html
    assert not any(said in html for said in ("(upstream)", "1 of 1", "version 3"))


def test_the_refusals_come_a_page_at_a_time_and_none_twice(acme: Tenant) -> None:
    for number in range(listing.PAGE_SIZE + 10):
        refusal(number, at=AT)
    first = refusals.page({}, tenant_ids=["acme"])
    older = dict([first.older.split("=")])
    second = refusals.page(older, tenant_ids=["acme"])
    seen = [line.event.pk for line in [*first.rows, *second.rows]]
    assert len(seen) == len(set(seen)) == listing.PAGE_SIZE + 10
    assert seen == sorted(seen, reverse=True)
    assert second.older == ""


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"action": "createCase"}, {"decision-2"}),
        ({"kind": "shadow"}, {"decision-3"}),
        ({"kind": "refused", "limit": "minute"}, {"decision-1", "decision-2"}),
        ({"decision": "decision-1"}, {"decision-1"}),
        ({"tenant": "globex"}, set()),
        ({"since": "2026-07-14T10:41:58", "until": "2026-07-14T10:41:59"}, {"decision-2"}),
        ({"since": "2026-07-14T12:41:59+02:00"}, {"decision-1"}),
        ({"before": "no number"}, {"decision-1", "decision-2", "decision-3"}),
    ],
)
def test_the_refusals_are_filtered(db: None, asked: dict[str, str], found: set[str]) -> None:
    refusal(1)
    refusal(2, action_id="createCase")
    refusal(3, shadow=True)
    refusal(4, tenant_id="globex")
    assert {line.event.decision_id for line in refusals.page(asked, tenant_ids=["acme"]).rows} == found


def test_signing_in_leads_to_the_overview_and_out_again(client: Client, admin_user: User) -> None:
    response = client.post("/accounts/sign-in/", {"username": "root", "password": "a-long-test-password"})
    assert response["Location"] == "/dashboard/"
    assert client.post("/accounts/sign-out/")["Location"] == "/accounts/sign-in/"
    assert client.get("/dashboard/").status_code == 302


def test_a_wrong_password_is_said(client: Client, admin_user: User) -> None:
    response = client.post("/accounts/sign-in/", {"username": "root", "password": "wrong"})
    assert b'role="alert"' in response.content


def test_signing_in_leads_to_no_other_site(client: Client, admin_user: User) -> None:
    fields = {"username": "root", "password": "a-long-test-password", "next": "https://elsewhere.test/"}
    assert client.post("/accounts/sign-in/", fields)["Location"] == "/dashboard/"


def test_tenants_are_searched_sorted_and_paged_by_the_address(ana: Client, acme: Tenant, globex: Tenant) -> None:
    more = [
        Tenant(tenant_id=f"shop-{number:03}", name=f"Shop {number:03}", connection=acme.connection)
        for number in range(60)
    ]
    Tenant.objects.bulk_create(more)

    def listed(query: str) -> list[str]:
        return re.findall(
            r'href="/dashboard/tenants/([^/"]+)/"', ana.get(f"/dashboard/tenants/{query}").content.decode()
        )

    assert (len(listed("")), listed("")[0], listed("?page=2")[-1]) == (50, "acme", "shop-059")
    assert listed("?sort=-name&q=shop")[:2] == ["shop-059", "shop-058"]
    assert listed("?q=SHOP-007") == ["shop-007"] and listed("?q=nobody") == []
    assert listed("?sort=secrets&page=nonsense") == listed("")
    page = ana.get("/dashboard/tenants/?q=shop&sort=-connection").content.decode()
    assert 'href="?q=shop&amp;sort=connection"' in page and 'href="?q=shop&amp;sort=-connection&amp;page=2"' in page


def zone_in(page: str) -> str:
    return page.partition('data-zone="')[2].partition('"')[0]


def test_a_time_zone_is_kept_and_an_address_can_name_another(ana: Client, acme: Tenant) -> None:
    assert zone_in(ana.get("/dashboard/").content.decode()) == "UTC"
    kept = ana.post("/dashboard/zone/", {"zone": "Europe/Berlin", "next": "/dashboard/tenants/acme/?range=1h"})
    assert kept["Location"] == "/dashboard/tenants/acme/?range=1h"
    assert zone_in(ana.get("/dashboard/").content.decode()) == "Europe/Berlin"
    assert zone_in(ana.get("/dashboard/?tz=Asia/Kolkata").content.decode()) == "Asia/Kolkata"
    assert zone_in(ana.get("/dashboard/?tz=../../etc/passwd").content.decode()) == "Europe/Berlin"


def test_a_zone_that_is_none_is_refused_and_keeping_one_leads_to_no_other_site(ana: Client) -> None:
    assert ana.post("/dashboard/zone/", {"zone": "Middle/Earth"}).status_code == 400
    sent = ana.post("/dashboard/zone/", {"zone": "UTC", "next": "https://elsewhere.test/"})
    assert sent["Location"] == "/dashboard/"


def listed(asked: dict[str, str]) -> list[str]:
    return [line.event.decision_id for line in refusals.page(asked, tenant_ids=["acme", "globex"]).rows]


@pytest.mark.parametrize(
    ("sort", "numbers"),
    [("", "1234"), ("time", "4321"), ("tenant", "2134"), ("-tenant", "4312"), ("limit", "3124"), ("-calls", "2134")],
)
def test_the_refusals_are_sorted_by_the_address(db: None, sort: str, numbers: str) -> None:
    refusal(1)
    refusal(2, action_id="createCase", count=40)
    refusal(3, limit_name="hour")
    refusal(4, tenant_id="globex")
    assert listed({"sort": sort}) == [f"decision-{number}" for number in numbers]
    assert listed({"sort": "nothing"}) == listed({})


@pytest.mark.parametrize("sort", ["time", "-time", "tenant", "-tenant", "limit", "-limit", "calls", "-calls"])
def test_sorted_refusals_come_a_page_at_a_time_and_none_twice(
    acme: Tenant, sort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE_SIZE", 3)
    for number in range(8):
        refusal(number, at=AT, action_id=f"action-{number % 2}", count=number % 2 + 1)
    page = refusals.page({"sort": sort}, tenant_ids=["acme"])
    seen = [line.event.pk for line in page.rows]
    while page.older:
        page = refusals.page(dict(parse_qsl(page.older)), tenant_ids=["acme"])
        seen += [line.event.pk for line in page.rows]
    assert len(seen) == len(set(seen)) == 8


def test_of_the_refusals_only_the_newest_are_sorted_by_calls(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "MAX_BY_CALLS", 2)
    for number in range(3):
        refusal(number, count=number + 1)
    assert listed({"sort": "-calls"}) == ["decision-1", "decision-0"]


def test_the_heads_of_a_list_lead_to_the_same_rows_in_another_order(ana: Client, acme: Tenant) -> None:
    refusal(1)
    html = ana.get("/dashboard/refusals/?tenant=acme&sort=limit").content.decode()
    assert 'href="?tenant=acme&amp;sort=-limit" aria-current="true" data-sorted="ascending"' in html
    assert 'href="?tenant=acme&amp;sort=calls"' in html
    assert '<input type="hidden" name="sort" value="limit">' in html
    assert 'aria-current="true" data-sorted="descending"' in ana.get("/dashboard/refusals/").content.decode()


def test_the_times_of_a_list_are_read_and_written_in_the_zone_of_the_address(ana: Client, acme: Tenant) -> None:
    refusal(1)
    refusal(2, at=AT + timedelta(hours=1))
    html = ana.get(
        "/dashboard/refusals/?tz=Asia/Kolkata&since=2026-07-14T16:00&until=2026-07-14T17:00"
    ).content.decode()
    assert "2026-07-14 16:11:59" in html and "decision-2" not in html
    assert "Time zone: Asia/Kolkata." in html
    assert 'name="since" type="datetime-local" step="1" value="2026-07-14T16:00:00"' in html
    assert '<input type="hidden" name="tz" value="Asia/Kolkata">' in html
    # Another zone is kept for the same span of time.
    assert 'value="/dashboard/refusals/?since=2026-07-14T10%3A30%3A00Z&amp;until=2026-07-14T11%3A30%3A00Z"' in html
