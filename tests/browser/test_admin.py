"""The admin in a real browser: nothing missing, nothing blocked, and live numbers on its first page.

Barriers: ``test_admin_barriers.py``.
"""

from __future__ import annotations

import re
from itertools import cycle

import pytest
from playwright.sync_api import expect

from tests.browser.visit import THEMES, Theme, Visitor

PAGES = (
    "/admin/",
    "/admin/limiter/quotapolicy/",
    "/admin/limiter/quotapolicy/add/",
    "/admin/limiter/throttleevent/",
    "/admin/limiter/export/add/",
    "/admin/tenants/tenant/",
    "/admin/tenants/tenant/add/",
    "/admin/tenants/connection/add/",
    "/admin/login/",
)


FORMS = (
    "/admin/auth/group/add/",
    "/admin/auth/user/1/change/",
    "/admin/limiter/quotapolicy/add/",
    "/admin/limiter/reportschedule/add/",
    "/admin/tenants/action/add/",
    "/admin/tenants/connection/add/",
)
CROWDED = """
[...document.querySelectorAll('#content :is(select, input:not([type=hidden], [type=checkbox]), textarea)[name]')]
    .filter((each) => each.checkVisibility() && !each.matches('.select2-hidden-accessible'))
    .filter((each) => each.offsetWidth < 80).map((each) => each.name)
"""


# All pages are made of the same parts: each is looked at in one theme.
@pytest.mark.parametrize(("path", "theme"), list(zip(PAGES, cycle(THEMES), strict=False)))
def test_a_page_has_no_complaint_and_nothing_missing(visitor: Visitor, path: str, theme: Theme) -> None:
    visitor.page.emulate_media(color_scheme=theme)
    visitor.open(path)
    visitor.page.wait_for_load_state("networkidle")
    assert visitor.missing == []
    icon = visitor.page.locator("link[rel=icon]").get_attribute("href")
    assert icon is not None and visitor.page.request.get(visitor.url + icon).ok


@pytest.mark.parametrize("path", FORMS)
def test_a_form_fits_a_screen_of_1280_and_each_field_has_room_for_its_value(visitor: Visitor, path: str) -> None:
    visitor.page.set_viewport_size({"width": 1280, "height": 900})
    visitor.open(path)
    visitor.page.wait_for_load_state("networkidle")
    assert not visitor.scrolls_sideways()
    assert visitor.page.evaluate(CROWDED) == []


def test_the_first_page_shows_the_pace_of_now_though_nobody_watched(visitor: Visitor) -> None:
    visitor.open("/admin/")
    expect(visitor.page.locator("[data-figure=calls_per_min]")).to_have_text(re.compile(r"^\d"))
    expect(visitor.page.get_by_text("Right now.")).to_be_visible()


def test_links_and_buttons_are_named_by_their_words_and_not_by_their_icons(visitor: Visitor) -> None:
    visitor.open("/admin/limiter/quotapolicy/")
    for name in ("Exports", "Dashboard", "Start from a preset"):
        expect(visitor.page.get_by_role("link", name=name, exact=True)).to_have_count(1)


def test_while_the_numbers_are_not_up_to_date_the_first_page_claims_nothing_about_now(visitor: Visitor) -> None:
    stale = {"v": 4, "summary": {"state": "unknown", "sentence": {"code": "unknown"}}, "figures": {}}
    visitor.page.route("**/dashboard/api/overview.json", lambda route: route.fulfill(json=stale))
    visitor.open("/admin/")
    expect(visitor.page.locator("#glance-title")).to_have_text("The numbers are not up to date.")
    expect(visitor.page.locator("#glance-detail")).to_be_empty()


def test_after_a_save_the_page_says_on_how_many_workers_it_is_live(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/admin/limiter/quotapolicy/")
    page.get_by_role("link", name="Base", exact=True).click()
    page.get_by_label("Reason for this change").fill("to see it arrive")
    page.get_by_label("Description").fill("seen")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text(re.compile(r"^Live on 2 of 2 workers after \d+(\.\d)? s\.$"))).to_be_visible()


def test_the_terms_of_a_share_are_asked_for_only_while_a_limit_is_shared(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/admin/limiter/quotapolicy/add/")
    shared = page.locator("[name='limits-0-shared']")
    terms = [page.locator(f"[name='limits-0-share_{name}']") for name in ("weight", "floor", "ceiling", "class")]
    for term in terms:
        expect(term).to_be_hidden()
    shared.check()
    terms[0].fill("3")
    shared.uncheck()
    for term in terms:
        expect(term).to_be_hidden()
    shared.check()
    for term, value in zip(terms, ("3", "0", "", "normal"), strict=True):
        expect(term).to_be_visible()
        expect(term).to_have_value(value)
