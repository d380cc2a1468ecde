"""The tenant page in a real browser, shown handed-in frames."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.visit import Visitor, frame

CARD = "#shares-card"


def test_a_shared_limit_shows_what_the_tenant_uses_lends_borrows_and_is_owed(visitor: Visitor) -> None:
    shown = frame("tenant")
    feed = visitor.shown("/dashboard/tenants/globex/", shown)
    card = visitor.page.locator(CARD)
    expect(card.get_by_text("class critical · floor 100 · ceiling 600")).to_be_visible()
    names, values = card.locator("dt"), card.locator("dd")
    whose = ["Used, of its share", "Lent to others", "Borrowed", "Kept for it"]
    expect(names).to_have_text([*whose, "Kept for others", "Used by all", "Calls waiting"])
    expect(values).to_have_text(["198 of 212", "88", "0", "14", "31", "567 of 600", "0"])
    feed.send({**shown, "seq": 2, "shares": []})
    expect(card).to_be_hidden()


def test_a_limit_by_a_value_shows_how_many_are_in_use_and_the_fullest(visitor: Visitor) -> None:
    shown = frame("tenant")
    feed = visitor.shown("/dashboard/tenants/globex/", shown)
    card = visitor.page.locator("#values-card")
    expect(card.locator("dd")).to_have_text(["873 of 1,000 nearly all", "0"])
    expect(card.locator("li code")).to_have_text(["9f2c41d0", "07ab93e5", "c4d1f6a2"])
    expect(card.locator("li").first).to_contain_text("250 of 250")
    feed.send({**shown, "seq": 2, "values": []})
    expect(card).to_be_hidden()


@pytest.mark.parametrize("width", [1440, 1600, 1920])
def test_the_state_of_each_limit_lies_within_the_table(visitor: Visitor, width: int) -> None:
    visitor.page.set_viewport_size({"width": width, "height": 900})
    shown = frame("tenant")
    longest = {**shown["rows"][2], "id": "globex||(in flight)", "limit": "(in flight)", "state": "lately"}
    rows = [{**shown["rows"][0], "state": "lately"}, *shown["rows"][1:], longest]
    visitor.shown("/dashboard/tenants/globex/", {**shown, "rows": rows})
    expect(visitor.page.locator("#table tbody tr")).to_have_count(len(rows))
    table = "document.querySelector('#table')"
    assert visitor.page.evaluate(f"{table}.scrollWidth - {table}.clientWidth") == 0


@pytest.mark.parametrize("width", [1280, 1440, 1920])
def test_what_chooses_the_time_of_the_charts_stands_in_one_line(visitor: Visitor, width: int) -> None:
    visitor.page.set_viewport_size({"width": width, "height": 900})
    visitor.shown("/dashboard/tenants/globex/", frame("tenant"))
    expect(visitor.page.locator("#table tbody tr").first).to_be_visible()
    middles = "(each) => { const box = each.getBoundingClientRect(); return Math.round((box.top + box.bottom) / 2); }"
    found = {visitor.page.locator(place).evaluate(middles) for place in ("#ranges", "#span-open", "#beside")}
    assert max(found) - min(found) <= 1
