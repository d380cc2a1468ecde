"""Every page, in both themes, without a finding of axe, a console error or a breach of the content security policy."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.live_demo import LiveDemo
from tests.browser.visit import Visitor, frame

WIDTHS = (1440, 360)


LISTS = [f"/dashboard/{name}/" for name in ("tenants", "connections", "incidents", "refusals")]


@pytest.mark.parametrize("path", [*LISTS, "/dashboard/tenants/nobody/", "/no/such/page/"])
def test_a_page_without_live_numbers_has_no_barrier(visitor: Visitor, path: str) -> None:
    visitor.open(path)
    assert visitor.barriers_in_both_themes() == []
    if path not in LISTS:
        visitor.complaints.clear()  # Chromium reports the page's own 403 or 404 as an error.


def test_the_sign_in_has_no_barrier(visitor: Visitor) -> None:
    visitor.page.context.clear_cookies()
    visitor.open("/dashboard/sign-in/")
    assert visitor.barriers_in_both_themes() == []


@pytest.mark.parametrize("width", WIDTHS)
def test_the_overview_has_no_barrier(visitor: Visitor, width: int) -> None:
    visitor.page.set_viewport_size({"width": width, "height": 900})
    visitor.shown("/dashboard/", frame("overview"))
    expect(visitor.page.locator("#table tbody tr")).to_have_count(12)
    assert visitor.barriers_in_both_themes() == []
    assert not visitor.scrolls_sideways()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_tenant_page_has_no_barrier(visitor: Visitor, width: int) -> None:
    visitor.page.set_viewport_size({"width": width, "height": 900})
    visitor.shown("/dashboard/tenants/globex/", frame("tenant"))
    visitor.page.get_by_role("button", name="Show as table").click()
    expect(visitor.page.locator("#table tbody tr")).to_have_count(4)
    assert visitor.barriers_in_both_themes() == []
    assert not visitor.scrolls_sideways()


def test_a_stored_refusal_and_all_it_says_have_no_barrier(visitor: Visitor, demo: LiveDemo) -> None:
    demo.refuse("lookupOrder")
    demo.shell.run("from limiter.record import keeping; keeping.store_events()")
    visitor.open("/dashboard/refusals/?tenant=acme")
    visitor.page.locator("details.event summary").first.click()
    expect(visitor.page.locator("details.event dl").first).to_be_visible()
    assert visitor.barriers_in_both_themes() == []


def test_alerts_have_no_barrier(visitor: Visitor) -> None:
    row = frame("overview")["rows"][0]
    alert = {**row, "id": 7, "ids": [7], "at_ms": 0, "threshold": 100}
    near = {**alert, "id": 8, "ids": [8], "limit": "day", "state": "near"}
    visitor.shown("/dashboard/", frame("overview", alerts=[alert, near]))
    expect(visitor.page.get_by_role("region", name="Alerts").get_by_role("button", name="Acknowledge:")).to_have_count(
        2
    )
    assert visitor.barriers_in_both_themes() == []


def test_the_wallboard_has_no_barrier(visitor: Visitor) -> None:
    visitor.shown("/dashboard/?wallboard=1", frame("overview"))
    expect(visitor.page.locator("#table tbody tr")).to_have_count(12)
    assert visitor.barriers() == []
