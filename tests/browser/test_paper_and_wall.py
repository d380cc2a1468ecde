"""The overview on a screen on the wall, and pages on paper: the reading stays, the controls go."""

from __future__ import annotations

from io import BytesIO

import pytest
from playwright.sync_api import Page, expect
from pypdf import PdfReader

from tests.browser.live_demo import LiveDemo
from tests.browser.test_languages import busy
from tests.browser.test_tables import wide
from tests.browser.visit import Visitor, frame

CONTROLS = "button, input, select, summary, a:not(.brand)"
SCREENS = [(1920, 1080), (3840, 2160)]


@pytest.mark.parametrize(("width", "height"), SCREENS)
def test_the_wallboard_fills_the_screen_and_has_no_controls(visitor: Visitor, width: int, height: int) -> None:
    visitor.page.set_viewport_size({"width": width, "height": height})
    visitor.shown("/dashboard/?wallboard=1", frame("overview"))
    expect(visitor.page.locator("#table tbody tr")).to_have_count(12)
    assert [control for control in visible(visitor.page, CONTROLS) if not control["inside"]] == []
    page = visitor.page.evaluate(
        "({wide: document.documentElement.scrollWidth, tall: document.documentElement.scrollHeight})"
    )
    assert page == {"wide": width, "tall": height}
    last = visitor.page.locator("main > .two").bounding_box()
    assert last is not None and last["y"] + last["height"] > height * 0.9
    assert visible(visitor.page, ".log .incident") == []
    expect(visitor.page.locator(".log .entry").first.get_by_text("Globex Travel")).to_be_visible()
    title = visitor.page.locator("#sentence").bounding_box()
    assert title is not None and title["height"] > height * 0.025


def test_on_a_low_screen_the_lists_give_way_to_the_limits(visitor: Visitor) -> None:
    visitor.page.set_viewport_size({"width": 1440, "height": 900})
    visitor.shown("/dashboard/?wallboard=1", frame("overview"))
    rows = visitor.page.locator("#table tbody tr")
    expect(rows).to_have_count(12)
    fourth, card = rows.nth(3).bounding_box(), visitor.page.locator(".table-card").bounding_box()
    assert fourth is not None and card is not None
    assert fourth["y"] + fourth["height"] <= card["y"] + card["height"]


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (1440, 900), *SCREENS])
def test_nothing_on_the_wallboard_is_cut_off(visitor: Visitor, width: int, height: int) -> None:
    visitor.page.set_viewport_size({"width": width, "height": height})
    visitor.shown("/dashboard/?wallboard=1", frame("overview"))
    expect(visitor.page.locator("#table tbody tr")).to_have_count(12)
    cut = (
        "[...document.querySelectorAll('#table, .note, .figure')].filter((each) => each.scrollWidth > each.clientWidth)"
    )
    assert visitor.page.evaluate(f"{cut}.map((each) => each.id || each.textContent)") == []
    figures = visitor.page.evaluate("[...document.querySelectorAll('.kpi')].map((each) => each.offsetTop)")
    assert len(figures) == 8 and len(set(figures)) == 1, "in one row"


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1920, 1080)])
def test_the_wallboard_shows_the_state_of_the_widest_line(visitor: Visitor, width: int, height: int) -> None:
    visitor.page.set_viewport_size({"width": width, "height": height})
    visitor.shown("/dashboard/?wallboard=1", wide("overview"))
    expect(visitor.page.locator("#table tbody tr")).to_have_count(12)
    beyond = "({ scrollWidth, clientWidth }) => scrollWidth - clientWidth"
    assert visitor.page.locator("#table").evaluate(beyond) == 0


def test_a_page_on_paper_is_light_has_no_controls_and_unfolds_nothing_away(visitor: Visitor) -> None:
    visitor.page.emulate_media(color_scheme="dark", media="print")
    visitor.shown("/dashboard/", frame("overview"))
    expect(visitor.page.locator("#table tbody tr")).to_have_count(12)
    assert visible(visitor.page, "button, input, summary, nav a") == []
    colour = "getComputedStyle(document.body).backgroundColor"
    assert visitor.page.evaluate(colour) == "rgb(255, 255, 255)"
    assert not visitor.scrolls_sideways()


def test_on_paper_columns_have_their_heads_and_nothing_is_cut_off(visitor: Visitor) -> None:
    visitor.page.set_viewport_size({"width": 720, "height": 1000})
    visitor.shown("/dashboard/", busy("overview"))
    expect(visitor.page.locator("#table tbody tr")).to_have_count(12)
    paper = on_paper(visitor.page)
    for head in ("Action", "Limit", "Used", "State"):
        assert head in paper
    visitor.page.emulate_media(media="print")
    cut = "[...document.querySelectorAll('.note')].filter((each) => each.scrollWidth > each.clientWidth).length"
    assert visitor.page.evaluate(cut) == 0 and visible(visitor.page, ".alert .tools, .log .incident") == []


def test_an_incident_on_paper_names_its_refusals_in_a_line_each(visitor: Visitor, demo: LiveDemo) -> None:
    demo.refuse("lookupOrder")
    demo.follow_refusals()
    visitor.open("/dashboard/incidents/?action=lookupOrder")
    visitor.page.locator(".event summary").first.click()
    visitor.page.get_by_role("link", name="Open the incident").click()
    expect(visitor.page.get_by_role("heading", name="What happened")).to_be_visible()
    paper = on_paper(visitor.page)
    assert "lookupOrder" in paper and "Decision" not in paper and "Explanation" not in paper
    visitor.open("/dashboard/refusals/?action=lookupOrder")
    assert "Decision" in on_paper(visitor.page)


def test_charts_are_drawn_anew_in_the_colours_of_paper_while_a_dark_page_is_printed(visitor: Visitor) -> None:
    visitor.page.emulate_media(color_scheme="dark")
    visitor.shown("/dashboard/", frame("overview"))
    visitor.page.evaluate(
        "window.drawn = []; addEventListener('themechange', () => drawn.push(document.documentElement.dataset.theme))"
    )
    visitor.page.pdf()
    assert visitor.page.evaluate("drawn.map((theme) => theme ?? 'of the system')") == ["light", "of the system"]


def test_a_list_of_the_admin_on_paper_is_a_table_with_all_its_rows_and_no_controls(
    visitor: Visitor, demo: LiveDemo
) -> None:
    names = demo.shell.run(
        "from limiter.models import QuotaPolicy as P; print(*(p.name for p in P.objects.all()), sep='|')"
    )
    visitor.open("/admin/limiter/quotapolicy/")
    visitor.page.emulate_media(media="print")
    paper = on_paper(visitor.page)
    assert [name for name in names.strip().split("|") if name not in paper] == []
    assert "In words" in paper and not {word for word in ("Filters", "Dashboard", "Select", "preset") if word in paper}
    visitor.page.set_viewport_size({"width": 700, "height": 900})  # of a narrow sheet
    assert visible(visitor.page, "button, input:not([type=hidden]), select, nav a, #nav-sidebar") == []
    assert visitor.page.locator("#result_list").evaluate("(list) => getComputedStyle(list).display") == "table"
    assert not visitor.scrolls_sideways()


def on_paper(page: Page) -> str:
    """The words of the printed page."""
    sheets = PdfReader(BytesIO(page.pdf(format="A4"))).pages
    return " ".join(" ".join(sheet.extract_text() for sheet in sheets).split())


def visible(page: Page, selector: str) -> list[dict[str, object]]:
    """The parts of the page that are shown; ``inside``: in the table or the log, where they are only read."""
    return list(
        page.evaluate(
            """(selector) => [...document.querySelectorAll(selector)].filter((each) => each.checkVisibility()).map(
                (each) => ({text: each.textContent.trim().slice(0, 40), inside: !!each.closest(".limits, .log")}))""",
            selector,
        )
    )
