"""The page of a shared limit: every tenant's part for those who see all, and sums for the others."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import Client

from dashboard.live import Live
from dashboard.messages import pool_frame
from dashboard.pool_table import COLUMNS
from dashboard.pools import PAGE_SIZE, PoolReading, StoredPool
from dashboard.readings import Shared
from dashboard.streams import NO_RIGHT
from dashboard.topics import PoolView, pool, tenant, view_of
from limiter.core.accounts import Account
from limiter.core.accounts import Terms as AccountTerms
from limiter.core.pacing import learn
from limiter.core.sharing import PACE
from limiter.core.types import MICROS, CountedPer, Limit, LimitState, Share, ShareState
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from limiter.policies.floors import FloorTerms
from limiter.policies.pools import PoolMember
from tenants.models import Action, Connection, Tenant
from tests.dashboard.test_stream import Page, Worker, polled, session_of, worker  # noqa: F401
from tests.limiter.gateway.conftest import Gateway, gateway, gateway_settings  # noqa: F401
from tests.people import member

LIMIT = Limit("pool", "sliding_log", 100, window_us=60 * MICROS, counted_per=CountedPer.CONNECTION, share=Share())
NORMAL = FloorTerms("normal", 1, 0, None)
VIEW = PoolView(1, "pool")


def reading(used: dict[str, int], *, shares: dict[str, int] | None = None) -> PoolReading:
    """Tenants with units in use, each of an even part; "idle" has not called."""
    names = [*used, "idle"]
    members = [PoolMember(name, name.title(), NORMAL, True) for name in names]
    of = [Account(AccountTerms(2, 1, 0, 0, name), (shares or {}).get(name, 25), units) for name, units in used.items()]
    state = LimitState(LIMIT, sum(used.values()), 100, 0, 0)
    shared = Shared(ShareState(LIMIT, 0, 25, 0, 0), state)
    return PoolReading(StoredPool(members, {"greedy": 7}), shared, of, at=1_784_025_727.0)


def framed(of: PoolReading, view: PoolView = VIEW, *, seen: set[str] | None = None) -> dict[str, Any]:
    return pool_frame(of, pool(view, seen or (), every=seen is None), platform={}, degraded=None)


def test_a_row_says_what_a_tenant_has_lent_and_borrowed_and_is_kept_for_it() -> None:
    frame = framed(reading({"greedy": 70, "meek": 5}, shares={"greedy": 75, "meek": 15}))
    greedy, meek, idle = frame["rows"]
    assert (greedy["used"], greedy["borrowed"], greedy["lent"], greedy["owed"]) == (70, 20, 0, 5)
    assert (meek["used"], meek["borrowed"], meek["lent"], meek["owed"]) == (5, 0, 35, 10)
    assert (greedy["refused_15m"], meek["refused_15m"]) == (7, 0)
    assert idle["tenant_name"] == "Idle" and idle["used"] is None
    assert frame["summary"]["sentence"] == {"code": "pool.free", "used": 75, "effective": 100}
    sums = {name: frame["pool"][name] for name in ("used", "effective", "owed", "borrowed", "count")}
    assert sums == {"used": 75, "effective": 100, "owed": 15, "borrowed": 20, "count": 3}


def test_a_full_limit_is_near() -> None:
    summary = framed(reading({"greedy": 100}))["summary"]
    assert (summary["state"], summary["sentence"]["code"]) == ("near", "pool.full")


@pytest.mark.parametrize("sort", [f"{sign}{name}" for name in COLUMNS for sign in ("", "-")])
def test_rows_stand_in_the_order_that_was_asked_for(sort: str) -> None:
    of = reading({f"t{number}": number for number in (3, 1, 2)})
    rows = framed(of, VIEW._replace(sort=sort))["rows"]
    assert [row["place"] for row in rows] == list(range(4))
    if sort.endswith("used"):
        used = [-1 if row["used"] is None else row["used"] for row in rows]
        assert used == sorted(used, reverse=sort.startswith("-"))


def test_a_thousand_tenants_are_cut_into_pages_and_found_by_name() -> None:
    of = reading({f"t{number:03}": number for number in range(1_000)})
    first, last = framed(of), framed(of, VIEW._replace(page=99))
    assert [row["used"] for row in first["rows"]] == list(range(999, 999 - PAGE_SIZE, -1))
    assert (last["pool"]["page"], last["pool"]["pages"], len(last["rows"])) == (21, 21, 1)
    (found,) = framed(of, VIEW._replace(search="T07", sort="tenant", page=1))["rows"][7:8]
    assert found["tenant_name"] == "T077"


def test_a_person_of_one_tenant_sees_the_others_in_sums_alone() -> None:
    frame = framed(reading({"greedy": 70, "meek": 5}), seen={"meek"})
    assert [row["tenant"] for row in frame["rows"]] == ["meek"]
    assert (frame["pool"]["used"], frame["pool"]["count"]) == (75, 1)
    assert "reedy" not in json.dumps(frame)


def test_an_address_that_makes_no_sense_is_nobodys_or_the_first_page() -> None:
    assert view_of("x", "pool", {}).connection == view_of("9" * 30, "pool", {}).connection == -1
    odd = view_of("1", "pool", {"page": "-3", "sort": "name'; --", "q": "x" * 1_000})
    assert (odd.page, len(odd.search)) == (1, 100)
    assert framed(reading({"a": 1}), odd._replace(search=""))["pool"]["sort"] == "-used"


@pytest.fixture
def shared(acme: Tenant, globex: Tenant) -> QuotaPolicy:
    Action.objects.get_or_create(tenant=globex, action_id="lookupOrder")
    policy = QuotaPolicy.objects.create(name="Pool", adaptive=False)
    terms = {"quota": 20, "window_seconds": 3600, "counted_per": "connection", "shared": True}
    QuotaLimit.objects.create(policy=policy, name="pool", share_floor=2, **terms)
    Assignment.objects.create(policy=policy, target="default")
    return policy


@pytest.mark.django_db(transaction=True)
async def test_the_page_follows_the_calls_of_all_tenants(
    gateway: Gateway,  # noqa: F811
    shared: QuotaPolicy,
    acme: Tenant,
    acme_key: str,
    globex_key: str,
) -> None:
    for key in [acme_key] * 12 + [globex_key]:
        assert (await gateway.invoke("lookupOrder", key=key)).status == 200
    live = Live(gateway.runtime)
    frame = await live.frame(pool(PoolView(acme.connection_id, "pool"), {"acme", "globex"}))
    assert [(row["tenant"], row["used"], row["floor"]) for row in frame["rows"]] == [("acme", 12, 2), ("globex", 1, 2)]
    assert (frame["rows"][0]["borrowed"], frame["pool"]["used"], frame["pool"]["effective"]) == (2, 13, 20)
    unknown = await live.frame(pool(PoolView(acme.connection_id, "none"), {"acme", "globex"}))
    assert (unknown["rows"], unknown["summary"]["state"]) == ([], "unknown")
    await live.close()


@pytest.mark.django_db(transaction=True)
async def test_the_page_and_the_cards_show_each_tenants_part_of_a_shared_pace(
    gateway: Gateway,  # noqa: F811
    shared: QuotaPolicy,
    acme: Tenant,
    acme_key: str,
    globex_key: str,
) -> None:
    await Connection.objects.aupdate(pace="fixed", pace_per_minute=120, shared=True, shared_like="pool")
    connection, store = acme.connection_id, gateway.runtime.gateway.store
    view = PoolView(connection, PACE)
    live = Live(gateway.runtime, every_s=0)
    none = await live.frame(pool(view, {"acme", "globex"}))
    assert (none["summary"]["sentence"]["code"], none["pool"].get("used")) == ("pace.unknown", None)
    await learn(store, connection, ran=0, held=0, pushed_back=0, mode="120", shared=True)
    for key in [globex_key] + [acme_key] * 9:
        await gateway.invoke("lookupOrder", key=key)
    await live.close()
    live = Live(gateway.runtime)
    frame = await live.frame(pool(view, {"acme", "globex"}))
    acme_row, globex_row = frame["rows"]
    # As many at once as half a second lets through, and two of its own ahead. A floor of 2 in 20 is a tenth.
    assert (globex_row["tenant"], globex_row["used"], acme_row["floor"]) == ("globex", 1, 12)
    assert 1 <= acme_row["used"] <= 5 and acme_row["borrowed"] == 0
    assert (frame["pool"]["effective"], frame["pool"]["used"]) == (120, acme_row["used"] + 1)
    assert frame["summary"]["sentence"] == {"code": "pace.free", "used": acme_row["used"] + 1, "effective": 120}
    hers = await live.frame(pool(view, {"globex"}))
    assert [row["tenant"] for row in hers["rows"]] == ["globex"] and "acme" not in json.dumps(hers)
    await live.read(["globex"])
    card = next(each for each in (await live.frame(tenant("globex")))["shares"] if each["limit"] == PACE)
    assert (card["counts"], card["used"], card["even"], card["effective"]) == ("pace", 1, 60, 120)
    assert card["used_by_all"] == acme_row["used"] + 1 and card["lent"] == globex_row["lent"]
    await live.close()


def test_a_pace_is_used_up_a_little_before_the_last_call_of_its_minute() -> None:
    for used, code in ((94, "pace.free"), (95, "pace.full")):
        assert framed(reading({"greedy": used}), VIEW._replace(limit=PACE))["summary"]["sentence"]["code"] == code


@pytest.mark.django_db(transaction=True)
async def test_a_stranger_is_closed_out_of_a_shared_limit(worker: Worker, acme: Tenant) -> None:  # noqa: F811
    other = await User.objects.acreate(username="other")
    query = f"connection={acme.connection_id}&limit=pool"
    page = Page(worker, await session_of(other), query=query)
    assert await page.connect()
    assert await page.closed_with() == 4403


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("limit", ["pool", "(in flight)", "(pace)"])
async def test_a_person_of_another_tenant_with_every_right_neither_follows_nor_polls_a_shared_limit(
    worker: Worker,  # noqa: F811
    acme: Tenant,
    globex: Tenant,
    limit: str,
) -> None:
    unit = await Connection.objects.acreate(name="globex-unit", is_sandbox=True, base_url="http://127.0.0.1:8801")
    await Tenant.objects.filter(pk=globex.pk).aupdate(connection=unit)
    ana, gil = [await session_of(await sync_to_async(member)(*each)) for each in (("ana", acme), ("gil", globex))]
    page = Page(worker, ana, query=f"connection={unit.pk}&limit={quote(limit)}")
    assert await page.connect()
    assert await page.closed_with() == NO_RIGHT
    poll = f"/dashboard/api/connections/{unit.pk}/limits/{limit}.json"
    assert [(await polled(worker, poll, session)).status for session in (ana, gil)] == [403, 200]


@pytest.mark.django_db(transaction=True)
async def test_a_member_of_a_tenant_gets_the_frames_of_its_connection(worker: Worker, acme: Tenant) -> None:  # noqa: F811
    person = await sync_to_async(member)("ana", acme)
    page = Page(worker, await session_of(person), query=f"connection={acme.connection_id}&limit=pool&sort=tenant")
    frame = await page.opened()
    assert frame["page"] == "pool"
    await page.leave()


@pytest.mark.django_db
def test_a_connections_page_leads_to_its_shared_limits(client: Client, admin_user: User, shared: QuotaPolicy) -> None:
    client.force_login(admin_user)
    of = Tenant.objects.get(tenant_id="acme").connection_id
    html = client.get(f"/admin/tenants/connection/{of}/change/").content.decode()
    assert f'href="/dashboard/connections/{of}/limits/pool/"' in html


@pytest.mark.django_db
def test_only_people_of_a_connection_open_the_page(client: Client, acme: Tenant, admin_user: User) -> None:
    address = f"/dashboard/connections/{acme.connection_id}/limits/pool/"
    client.force_login(User.objects.create_user("stranger"))
    assert client.get(address).status_code == client.get(address.replace("/limits", "9/limits")).status_code == 403
    assert acme.connection.name.encode() not in client.get(address).content
    client.force_login(member("ana", acme))
    assert client.get(address).status_code == 200
    client.force_login(admin_user)
    html = client.get(f"{address}?sort=-lent&q=acme&page=2").content.decode()
    assert 'aria-sort="descending"' in html and "sort=lent" in html
    assert f"connection={acme.connection_id}&amp;limit=pool&amp;sort=-lent&amp;page=2&amp;q=acme" in html
