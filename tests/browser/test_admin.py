"""The admin in a real browser: nothing missing, nothing blocked, and live numbers on its first page."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.visit import Visitor


@pytest.mark.parametrize(
    "path",
    [
        "/admin/",
        "/admin/limiter/quotapolicy/",
        "/admin/limiter/quotapolicy/add/",
        "/admin/limiter/throttleevent/",
        "/admin/limiter/export/add/",
        "/admin/tenants/tenant/",
        "/admin/tenants/connection/add/",
        "/admin/login/",
    ],
)
def test_a_page_s_console_is_silent_and_all_it_asks_for_is_there(visitor: Visitor, path: str) -> None:
    missing: list[str] = []
    visitor.page.on("response", lambda answer: missing.append(answer.url) if answer.status >= 400 else None)
    visitor.open(path)
    visitor.page.wait_for_load_state("networkidle")
    assert missing == []
    icon = visitor.page.locator("link[rel=icon]").get_attribute("href")
    assert icon is not None and visitor.page.request.get(visitor.url + icon).ok


def test_the_first_page_shows_the_pace_of_now_though_nobody_watched(visitor: Visitor) -> None:
    visitor.open("/admin/")
    expect(visitor.page.locator("[data-figure=calls_per_min]")).to_have_text(re.compile(r"^\d"))
    expect(visitor.page.get_by_text("Right now.")).to_be_visible()
