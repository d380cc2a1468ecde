"""The page of a shared limit: each tenant's part of it, and the sums of all."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.live_demo import LiveDemo
from tests.browser.visit import Visitor, frame

WIDTHS = (1440, 360)


@pytest.fixture
def address(demo: LiveDemo) -> str:
    found = demo.shell.run(
        "from tenants.models import Tenant; print(Tenant.objects.get(tenant_id='globex').connection_id)"
    )
    return f"/dashboard/connections/{int(found)}/limits/pool/"


def test_a_shared_limit_shows_the_part_of_each_tenant_in_the_servers_order(visitor: Visitor, address: str) -> None:
    shown = frame("pool")
    feed = visitor.shown(address, shown)
    lines = visitor.page.locator("#parts tr")
    expect(lines).to_have_count(6)
    expect(lines.first.locator("th, td")).to_have_text(
        ["Globex Travel", "normal", "1", "0", "—", "301", "296", "0", "0", "181", "1,204"]
    )
    expect(visitor.page.locator("#sums dd")).to_have_text(["580 of 600", "20", "25", "181"])
    expect(visitor.page.locator("#sentence")).to_contain_text("pool has 580 of 600 in use")
    first, second, *others = shown["rows"]
    moved = [{**second, "used": 320, "place": 0}, {**first, "place": 1}, *others[:2]]
    gone = [row["id"] for row in others[2:]]
    feed.send({"v": 4, "seq": 2, "at_ms": shown["at_ms"], "kind": "delta", "rows": moved, "gone": gone})
    expect(lines).to_have_count(4)
    expect(lines.first).to_contain_text("Umbrella Health")


def test_the_address_has_order_search_and_page(visitor: Visitor, address: str) -> None:
    shown = frame("pool")
    visitor.shown(f"{address}?q=e&page=2", {**shown, "pool": {**shown["pool"], "count": 120, "page": 2, "pages": 3}})
    page = visitor.page
    expect(page.locator("th.number[aria-sort]")).to_have_attribute("aria-sort", "descending")
    expect(page.locator("#pages")).to_contain_text("120 lines · page 2 of 3")
    expect(page.get_by_role("link", name="Next")).to_have_attribute("href", "?q=e&page=3")
    page.get_by_role("link", name="Lent to others").click()
    expect(page).to_have_url(f"{visitor.url}{address}?q=e&sort=-lent")
    expect(page.get_by_label("Search")).to_have_value("e")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_of_a_shared_limit_has_no_barrier(visitor: Visitor, address: str, width: int) -> None:
    visitor.page.set_viewport_size({"width": width, "height": 900})
    visitor.shown(address, frame("pool"))
    expect(visitor.page.locator("#parts tr")).to_have_count(6)
    assert visitor.barriers_in_both_themes() == []
    assert not visitor.scrolls_sideways()


def test_a_tenants_card_leads_to_the_whole_limit(visitor: Visitor, address: str) -> None:
    feed = visitor.shown("/dashboard/tenants/globex/", frame("tenant"))
    expect(visitor.page.locator("#shares-card")).to_be_visible()
    feed.first = (frame("pool"),)
    visitor.page.locator("#shares-card").get_by_role("link", name="pool").click()
    expect(visitor.page).to_have_url(f"{visitor.url}{address}")
    expect(visitor.page.get_by_role("heading", name="Each tenant's part")).to_be_visible()
