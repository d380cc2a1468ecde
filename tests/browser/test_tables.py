"""No cell of a table of the dashboard lies beyond its edge, and none is too narrow for its text."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.live_demo import LiveDemo
from tests.browser.test_languages import speak
from tests.browser.visit import Visitor, frame

CLIPPED = """() => {
  const beyond = (cell) => {
    const box = cell.getBoundingClientRect();
    if (cell.scrollWidth > cell.clientWidth + 1 || box.right > innerWidth + 1) return true;
    for (let place = cell.parentElement; place; place = place.parentElement) {
      if (getComputedStyle(place).overflowX === "visible") continue;
      const edge = place.getBoundingClientRect();
      if (box.right > edge.right + 1 || box.left < edge.left - 1) return true;
    }
    return false;
  };
  const cells = [...document.querySelectorAll("main table:not(.unseen) :is(th, td)")];
  return cells.filter((cell) => cell.checkVisibility() && beyond(cell)).map((cell) => cell.textContent.trim());
}"""
STILL = ["/dashboard/tenants/", "/dashboard/connections/"]
LANGUAGES = ["en", "de", "es"]


def clipped(page: Page) -> list[str]:
    return list(page.evaluate(CLIPPED))


def wide(name: str) -> dict[str, Any]:
    """A written frame with a first line as wide as lines come: long names, large numbers, a cut, the longest state."""
    shown = frame(name)
    numbers = {"used": 1_234_567, "quota": 10_000_000, "effective": 6_200_000, "remaining": 4_965_433}
    times = {"full_in_s": 42_000, "next_unit_s": 85_000, "window_seconds": 86_400}
    counts = {"refused_15m": 123_456, "shadow_15m": 65_432, "peak_1h": 1_234_567, "incident": 31}
    names = {"tenant_name": "Consolidated Insurance of Mecklenburg", "action": "getCompletedContactsByAgent"}
    row = shown["rows"][0] | numbers | times | counts | names | {"limit": "(in flight)", "state": "lately"}
    return {**shown, "rows": [row, *shown["rows"][1:]]}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [1024, 1280, 1440])
def test_the_overview_shows_its_limits_whole(visitor: Visitor, width: int, language: str) -> None:
    visitor.page.set_viewport_size({"width": width, "height": 900})
    speak(visitor, language)
    for shown in (frame("overview"), wide("overview")):
        visitor.shown("/dashboard/", shown)
        expect(visitor.page.locator("html")).to_have_attribute("lang", language)
        expect(visitor.page.locator("#table tbody tr")).to_have_count(len(shown["rows"]))
        assert clipped(visitor.page) == []
        assert not visitor.scrolls_sideways()


@pytest.mark.parametrize("width", [1024, 1280, 1440])
def test_a_tenants_page_shows_its_limits_whole(visitor: Visitor, width: int) -> None:
    visitor.page.set_viewport_size({"width": width, "height": 900})
    for shown in (frame("tenant"), wide("tenant")):
        visitor.shown("/dashboard/tenants/globex/", shown)
        expect(visitor.page.locator("#table tbody tr")).to_have_count(len(shown["rows"]))
        assert clipped(visitor.page) == []


def test_the_page_of_a_shared_limit_shows_each_part_whole(visitor: Visitor, demo: LiveDemo) -> None:
    found = demo.shell.run(
        "from tenants.models import Tenant; print(Tenant.objects.get(tenant_id='globex').connection_id)"
    )
    visitor.page.set_viewport_size({"width": 1280, "height": 900})
    visitor.shown(f"/dashboard/connections/{int(found)}/limits/pool/", frame("pool"))
    expect(visitor.page.locator("#parts tr")).to_have_count(6)
    assert clipped(visitor.page) == []


@pytest.mark.parametrize("path", STILL)
def test_lists_show_their_cells_whole(visitor: Visitor, path: str) -> None:
    visitor.page.set_viewport_size({"width": 1280, "height": 900})
    visitor.open(path)
    expect(visitor.page.locator("main table")).to_be_visible()
    assert clipped(visitor.page) == []


def test_the_heads_stand_on_one_line_whether_or_not_they_sort(visitor: Visitor) -> None:
    visitor.page.set_viewport_size({"width": 1600, "height": 900})
    visitor.shown("/dashboard/", frame("overview"))
    expect(visitor.page.locator("#table thead").get_by_text("Trend")).to_be_visible()
    bottoms = """(heads) => heads.filter((head) => head.checkVisibility()).map((head) => {
      const text = document.createRange();
      text.selectNodeContents(document.createTreeWalker(head, NodeFilter.SHOW_TEXT).nextNode());
      return Math.round(text.getBoundingClientRect().bottom);
    })"""
    found = visitor.page.locator("#table thead th").evaluate_all(bottoms)
    assert len(found) >= 9 and max(found) == min(found)
