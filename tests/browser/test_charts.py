"""A tenant's charts in a real browser: any time and line, kept in the address, by pointer and by keyboard."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.browser.live_demo import LiveDemo
from tests.browser.visit import THEMES, Visitor, frame
from tests.patience import until

PAGE = "/dashboard/tenants/acme/"


def drag_across(page: Page) -> None:
    """Over the middle third of the usage chart."""
    place = page.locator("#usage .u-over").bounding_box()
    assert place is not None
    middle = place["y"] + place["height"] / 2
    page.mouse.move(place["x"] + place["width"] / 3, middle)
    page.mouse.down()
    page.mouse.move(place["x"] + 2 * place["width"] / 3, middle, steps=4)
    page.mouse.up()


def test_a_range_a_span_and_a_line_stand_in_the_address_and_come_back(visitor: Visitor, demo: LiveDemo) -> None:
    page = visitor.page
    demo.call("createCase", calls=3)
    visitor.open(PAGE)
    expect(page.locator("#chart-summary")).to_contain_text("Usage over the last 5 minutes")
    page.get_by_role("button", name="1 h").click()
    page.get_by_role("combobox", name="Shown").select_option(label="all actions")
    expect(page).to_have_url(re.compile(r"\?range=1h&line=calls$"))
    expect(page.locator("#chart-summary")).to_contain_text(re.compile("Calls allowed in each step.* highest [1-9]"))
    drag_across(page)
    expect(page).to_have_url(re.compile(r"\?line=calls&from=.*Z&to=.*Z$"))
    expect(page.get_by_label("From", exact=True)).not_to_have_value("")
    expect(page.get_by_role("button", name=re.compile("^From .* to"))).to_have_attribute("aria-pressed", "true")
    zoomed = page.get_by_label("From", exact=True).input_value()
    page.reload()
    expect(page.get_by_label("From", exact=True)).to_have_value(zoomed)
    page.go_back()
    expect(page.get_by_role("button", name="1 h")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#chart-summary")).to_contain_text("Calls allowed in each step")


def test_a_span_is_typed_and_a_day_earlier_lies_beside_it(visitor: Visitor, demo: LiveDemo) -> None:
    page = visitor.page
    demo.call("createCase")
    visitor.open(f"{PAGE}?line=createCase%7Cminute")
    page.get_by_role("button", name=re.compile("^From .* to")).press("Enter")
    page.get_by_label("From", exact=True).fill("2026-07-14T10:00:00")
    page.get_by_label("To", exact=True).fill("2026-07-14T09:00:00")
    page.get_by_label("To", exact=True).press("Enter")
    expect(page.locator("#span-fault")).to_have_text("Give a “To” after “From”.")
    page.get_by_label("To", exact=True).fill("2026-07-14T11:00:00")
    page.get_by_label("To", exact=True).press("Enter")
    expect(page).to_have_url(re.compile("from=2026-07-14T10%3A00%3A00Z&to=2026-07-14T11%3A00%3A00Z"))
    expect(page.locator("#chart-summary")).to_have_text("No calls in this time.")
    page.get_by_role("button", name="24 h").click()
    page.get_by_label("Beside").select_option("yesterday")
    expect(page).to_have_url(re.compile("range=24h&beside=yesterday$"))
    expect(page.locator("#chart-summary")).to_contain_text("Usage over the last 24 hours")
    expect(page.locator("#usage-legend").get_by_text("Earlier")).to_be_visible()
    for theme in THEMES:
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        assert visitor.barriers() == []


@pytest.mark.usefixtures("_choices_are_forgotten")
def test_times_are_written_in_the_zone_of_the_address(visitor: Visitor, demo: LiveDemo) -> None:
    page = visitor.page
    visitor.open(f"{PAGE}?tz=Asia/Kolkata&from=2026-07-14T10:00:00Z&to=2026-07-14T11:00:00Z")
    expect(page.get_by_label("From", exact=True)).to_have_value("2026-07-14T15:30")
    expect(page.locator("#clock")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d GMT\+5:30$"))
    page.get_by_label("From", exact=True).fill("2026-07-14T15:00:00")
    page.get_by_label("From", exact=True).press("Enter")
    expect(page).to_have_url(re.compile("from=2026-07-14T09%3A30%3A00Z"))
    page.locator("details.person summary").click()
    page.get_by_role("combobox", name="Time zone").select_option("Europe/Berlin")
    page.get_by_role("button", name="Keep").click()
    assert visitor.barriers() == []
    visitor.open(f"{PAGE}?from=2026-07-14T10:00:00Z&to=2026-07-14T11:00:00Z")
    expect(page.get_by_label("From", exact=True)).to_have_value("2026-07-14T12:00")


def test_the_choice_of_a_tenant_without_calls_stays_filled(visitor: Visitor) -> None:
    quiet = frame("tenant", rows=[], charts={})
    feed = visitor.shown("/dashboard/tenants/initech/", quiet)
    picked = visitor.page.locator("#line-pick")
    expect(picked).to_have_value("calls")
    feed.send({**quiet, "seq": 2, "at_ms": quiet["at_ms"] + 1_000})
    feed.send({**quiet, "seq": 3, "tops": {"actions": [{"name": "seen", "calls": 1, "share": 1}], "keys": []}})
    expect(visitor.page.get_by_text("seen")).to_be_visible()
    assert picked.input_value() == "calls"


COLOURED = """
() => {
  const canvas = document.querySelector("#usage canvas");
  const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let found = 0;
  for (let at = 0; at < data.length; at += 4) {
    const [red, green, blue, alpha] = data.slice(at, at + 4);
    if (alpha > 200 && Math.max(red, green, blue) - Math.min(red, green, blue) > 60) found += 1;
  }
  return found;
}
"""
"""How many pixels of the usage chart have a colour: axes and marks are grey."""


def test_a_value_between_two_gaps_is_a_dot(visitor: Visitor) -> None:
    whole = frame("tenant", notes=[])
    name, chart = next(iter(whole["charts"].items()))
    nothing = {column: [None] * len(chart["times"]) for column in chart["columns"]}
    middle = len(chart["times"]) // 2
    one = {**nothing, "used": [7 if at == middle else None for at in range(len(chart["times"]))]}
    page = f"/dashboard/tenants/acme/?line={quote(name.removeprefix('acme|'))}"
    feed = visitor.shown(page, {**whole, "charts": {name: {**chart, "columns": nothing}}})
    legend = visitor.page.locator("#usage-legend")
    expect(legend).to_contain_text("Used")
    until(lambda: visitor.page.evaluate(COLOURED) == 0, what="the chart without a value")
    feed.send({**whole, "seq": whole["seq"] + 1, "charts": {name: {**chart, "columns": one}}})
    until(lambda: visitor.page.evaluate(COLOURED) > 4, what="the dot")
