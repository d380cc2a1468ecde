"""Pages that nobody had open during an incident show it whole with their first frame."""

from __future__ import annotations

import json
import time
from typing import Any, NamedTuple

import pytest
import redis
from playwright.sync_api import expect

from dashboard.streams import FIGURES_KEPT
from limiter.core import keys
from quota_platform.demo import tokens
from tests.browser.live_demo import LiveDemo
from tests.browser.visit import Visitor
from tests.patience import until

REFUSED = 4
UNIT = "from tenants.models import Tenant; print(Tenant.objects.get(tenant_id='hooli').connection_id)"


class Incident(NamedTuple):
    """``connection``: its row. ``known_ms``: since when the store has its refusals."""

    connection: int
    known_ms: float


def first_frame(visitor: Visitor, path: str, incident: Incident) -> Any:
    """Of a page that is opened now. One that others watch has its last frame first, which is a second old at most."""
    found: list[Any] = []

    def is_new_enough() -> bool:
        with visitor.page.expect_websocket() as opened:
            visitor.open(path)
        frame = opened.value.wait_for_event("framereceived")
        expect(visitor.page.locator("#live-word")).to_have_text("Live")
        found[:] = [json.loads(frame if isinstance(frame, str) else frame.decode())]
        return bool(found[0]["at_ms"] >= incident.known_ms)

    until(is_new_enough, what="a frame that was made after the incident")
    return found[0]


@pytest.fixture
def incident(demo: LiveDemo) -> Incident:
    """An incident that is over: some calls of Hooli's shared limit were refused, unwatched."""
    connection, token = int(demo.shell.run(UNIT)), tokens.read(demo.var)["hooli"]
    demo.until(429, token, "exportContacts")
    for _ in range(REFUSED - 1):
        demo.until(429, token, "exportContacts")
    refused_at = int(time.time()) - 1
    with redis.Redis.from_url(demo.variables["REDIS_URL"]) as store:
        place = keys.refused(connection)
        until(lambda: (store.zscore(place, "hooli") or 0) >= refused_at, what="the worker's report of its last seconds")
    demo.follow_refusals()
    return Incident(connection, time.time() * 1000)


def test_every_page_has_the_incident_with_its_first_frame(newcomer: Visitor, incident: Incident) -> None:
    page = newcomer.page
    overview = first_frame(newcomer, "/dashboard/", incident)
    row = next(each for each in overview["rows"] if each["id"] == "hooli||pool")
    assert row["state"] in ("stop", "near", "lately") and row["refused_15m"] >= REFUSED and row["incident"]
    assert sum(line["count"] for line in overview["feed"] if line["tenant"] == "hooli") == row["refused_15m"]
    assert len(overview["series"]["refused_per_min"]) >= FIGURES_KEPT, "the lines of the figures begin before the page"
    shown = page.locator("#table tbody tr").filter(has_text="Hooli Health").filter(has_text="pool")
    expect(shown.get_by_role("link", name=str(row["refused_15m"]))).to_be_visible()
    expect(page.get_by_role("log")).to_contain_text("Hooli Health \N{MIDDLE DOT} exportContacts \N{MIDDLE DOT} pool")

    wall = first_frame(newcomer, "/dashboard/?wallboard=1", incident)
    assert next(each["refused_15m"] for each in wall["rows"] if each["id"] == "hooli||pool") == row["refused_15m"]

    tenant = first_frame(newcomer, "/dashboard/tenants/hooli/", incident)
    columns = tenant["charts"]["hooli||pool"]["columns"]
    assert sum(filter(None, columns["refused"])) == row["refused_15m"]
    assert max(filter(None, columns["used"])) == max(filter(None, columns["limit"]))
    expect(page.locator("#sentence")).to_contain_text("refused")
    page.get_by_role("button", name="Show as table").click()
    expect(page.locator("#chart-table thead")).to_contain_text("Refused")

    pool = first_frame(newcomer, f"/dashboard/connections/{incident.connection}/limits/pool/", incident)
    (line,) = [each for each in pool["rows"] if each["tenant"] == "hooli"]
    assert line["refused_15m"] == row["refused_15m"]
    newcomer.open("/dashboard/connections/")
    expect(page.get_by_role("link", name="pool", exact=True)).to_be_visible()
    newcomer.open("/dashboard/incidents/?state=open&tenant=hooli")
    expect(page.locator("summary").filter(has_text="pool")).to_be_visible()
