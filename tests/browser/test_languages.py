"""Pages in other languages: no text is left out, the reader chooses, and nothing overflows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import translation
from playwright.sync_api import expect

from quota_platform.base.languages import number
from tests.browser import pseudo
from tests.browser.live_demo import LiveDemo
from tests.browser.visit import Frame, Visitor, frame

READ = """() => {
  const shown = (node) => node.checkVisibility({ visibilityProperty: true });
  const texts = [document.title];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { parentElement, textContent } = walker.currentNode;
    if (!parentElement.closest("script, template, style") && textContent.trim()) texts.push(textContent.trim());
  }
  for (const name of ["aria-label", "placeholder", "title", "alt", "data-label"])
    for (const node of document.querySelectorAll(`[${name}]`)) texts.push(node.getAttribute(name));
  return texts;
}"""
IN_BRACKETS = re.compile("⟦[^⟦⟧]*⟧")
THE_SAME_EVERYWHERE = {"Quota", "English", "Deutsch", "Español", "Esperanto", "UTC", "ms", "p95", "qk", "acme"}
DEMO = {"Acme Retail", "Globex Travel", "administrator", "supervisor", "lookupOrder", "minute", "Base", "Sandbox"}


def values(of: Any) -> Iterator[str]:
    """Every text in a frame that is a value: a name, an ID."""
    if isinstance(of, dict):
        for value in of.values():
            yield from values(value)
    elif isinstance(of, list):
        for value in of:
            yield from values(value)
    elif isinstance(of, str):
        yield of


def outside(texts: list[str], data: set[str]) -> list[str]:
    """The texts with words that stand in no brackets and are no data."""
    found = []
    for text in texts:
        left = text
        while (shorter := IN_BRACKETS.sub("", left)) != left:
            left = shorter
        for value in sorted(data | THE_SAME_EVERYWHERE, key=len, reverse=True):
            left = left.replace(value, "")
        if re.search(r"[^\W\d_]{2}", left):
            found.append(text)
    return found


@pytest.mark.parametrize("language", ["en", "de", "es"])
def test_the_browser_writes_numbers_as_the_server_does(visitor: Visitor, language: str) -> None:
    speak(visitor, language)
    whole = frame("overview")
    figures = whole["figures"] | {"calls_per_min": {"value": 4_321, "state": "", "note": None}}
    shares = {
        "allowed_per_min": {"value": 9, "state": "", "note": {"code": "figure.allowed_per_min.share", "share": 0.005}}
    }
    visitor.shown("/dashboard/", {**whole, "figures": figures | shares})
    with translation.override(language):
        expect(visitor.page.locator("[data-figure=calls_per_min] .figure span").first).to_have_text(number(4_321))
        expect(visitor.page.locator("[data-figure=allowed_per_min] .note")).to_contain_text(f"{number(0.5)} %")


def speak(visitor: Visitor, language: str) -> None:
    visitor.page.context.add_cookies([{"name": "django_language", "value": language, "url": visitor.url}])


def busy(name: str) -> Frame:
    """A frame in which everything that a page may say is said."""
    row = next(row for row in frame(name)["rows"] if row["tenant"] == "globex")
    alert = {**row, "id": 1, "ids": [1], "at_ms": 0, "threshold": 80, "full_in_s": 90}
    return frame(name, alerts=[alert, {**alert, "id": 2, "ids": [2], "limit": "day", "full_in_s": None}])


@pytest.mark.parametrize(
    ("name", "path"),
    [("overview", "/dashboard/"), ("tenant", "/dashboard/tenants/globex/")],
    ids=["overview", "tenant"],
)
def test_no_text_of_a_live_page_is_in_no_catalogue(visitor: Visitor, demo: LiveDemo, name: str, path: str) -> None:
    speak(visitor, pseudo.CODE)
    shown = busy(name)
    visitor.shown(path, shown)
    expect(visitor.page.locator("#table tbody tr")).not_to_have_count(0)
    if name == "tenant":
        visitor.page.locator("#as-table").click()
        visitor.page.locator("[data-deed=increase]").click()
    assert outside(visitor.page.evaluate(READ), {*values(shown), *DEMO, demo.sign_in[0]}) == []


@pytest.mark.parametrize("code", ["degraded.store", "degraded.database"])
def test_a_banner_is_in_the_catalogue(visitor: Visitor, code: str) -> None:
    speak(visitor, pseudo.CODE)
    summary = {**frame("overview")["summary"], "degraded": {"code": code, "since": 1_784_025_727_000}}
    visitor.shown("/dashboard/", frame("overview", summary=summary, rows=[], feed=[], changes=[]))
    expect(visitor.page.get_by_role("alert")).to_contain_text("⟦")
    expect(visitor.page.locator("#empty h3")).to_contain_text("⟦")


@pytest.mark.parametrize(
    "path",
    [
        "/dashboard/refusals/?tenant=initech",
        "/dashboard/tenants/",
        "/dashboard/connections/",
        "/dashboard/tenants/nobody/",
    ],
)
def test_no_text_of_a_page_without_live_numbers_is_in_no_catalogue(visitor: Visitor, demo: LiveDemo, path: str) -> None:
    speak(visitor, pseudo.CODE)
    visitor.open(path)
    names = set(json.loads(demo.shell.run(TENANTS).splitlines()[-1]))
    assert outside(visitor.page.evaluate(READ), {*names, "pool", "seats", demo.sign_in[0]}) == []
    visitor.complaints.clear()  # Chromium reports the 403 of a page that nobody may see.


TENANTS = (
    "import json; from tenants.models import Tenant;"
    " print(json.dumps([n for t in Tenant.objects.all() for n in (t.name, t.tenant_id, t.connection.name)]))"
)


def test_a_stored_refusal_says_nothing_that_is_in_no_catalogue(visitor: Visitor, demo: LiveDemo) -> None:
    demo.refuse("lookupOrder")
    demo.shell.run("from limiter.record import keeping; keeping.store_events()")
    speak(visitor, pseudo.CODE)
    visitor.open("/dashboard/refusals/?tenant=acme")
    visitor.page.locator("details.event summary").first.click()
    facts = visitor.page.locator("details.event").first.locator("dt").all_inner_texts()
    assert outside(facts, set()) == []
    assert "⟦" in visitor.page.locator("details.event dd").first.inner_text()


def test_no_text_of_the_sign_in_is_in_no_catalogue(visitor: Visitor) -> None:
    visitor.page.context.clear_cookies()
    speak(visitor, pseudo.CODE)
    visitor.open("/dashboard/sign-in/")
    assert outside(visitor.page.evaluate(READ), set()) == []


@pytest.mark.usefixtures("_choices_are_forgotten")
def test_the_reader_chooses_the_language_and_it_stays(visitor: Visitor) -> None:
    visitor.shown("/dashboard/", frame("overview"))
    visitor.page.locator("details.person summary").click()
    visitor.page.get_by_role("button", name="Deutsch").click()
    expect(visitor.page.locator("html")).to_have_attribute("lang", "de")
    expect(visitor.page.get_by_role("heading", level=1)).to_contain_text("Aufrufe von 2 Mandanten werden abgelehnt")
    expect(visitor.page.locator("[data-figure=calls_per_min] .figure")).to_have_text("12.480")
    visitor.open("/dashboard/tenants/")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Mandanten")


@pytest.mark.parametrize(
    ("width", "language"),
    [(360, "de"), *(pytest.param(*each, marks=pytest.mark.slow) for each in [(1440, "de"), (1440, "es"), (360, "es")])],
)
@pytest.mark.parametrize(
    ("name", "path"),
    [("overview", "/dashboard/"), ("tenant", "/dashboard/tenants/globex/")],
    ids=["overview", "tenant"],
)
def test_a_translated_page_has_no_barrier_and_does_not_overflow(
    visitor: Visitor, name: str, path: str, width: int, language: str
) -> None:
    speak(visitor, language)
    visitor.page.set_viewport_size({"width": width, "height": 900})
    visitor.shown(path, busy(name))
    expect(visitor.page.locator("#table tbody tr")).not_to_have_count(0)
    assert visitor.barriers(["wcag2a", "wcag2aa"]) == []
    assert not visitor.scrolls_sideways()


def test_the_admins_navigation_and_what_a_policy_says_are_in_the_catalogues(visitor: Visitor, demo: LiveDemo) -> None:
    speak(visitor, pseudo.CODE)
    find = "from limiter.models import QuotaPolicy as Q; print(Q.objects.get(name='Globex plan').pk)"
    visitor.open(f"/admin/limiter/quotapolicy/{demo.shell.run(find).split()[-1]}/change/")
    said = visitor.page.locator("[data-sentences] li").all_inner_texts()
    assert outside(said, {"burst", "minute", "day", "inflight"}) == []
    entries = visitor.page.locator("#nav-sidebar-apps a").all_inner_texts()
    assert outside([entry.strip().split("\n")[-1] for entry in entries], set()) == []
    assert len(said) > 5


LATELY = """
from datetime import timedelta
from django.utils import timezone
from limiter.models import Incident
at = timezone.now() - timedelta(minutes=5)
values = {
    "at": at, "last_at": at, "policy_name": "Base", "policy_version": 1, "refusals": 1, "quota": 100,
    "effective_limit": 100,
}
Incident.objects.update_or_create(values, tenant_id="acme", action_id="longStates", limit_name="minute")
"""


@pytest.mark.parametrize("language", ["de", "en", "es"])
def test_the_state_of_an_incident_stays_inside_its_card(visitor: Visitor, demo: LiveDemo, language: str) -> None:
    demo.shell.run(LATELY)
    speak(visitor, language)
    visitor.page.set_viewport_size({"width": 1280, "height": 900})
    visitor.open("/dashboard/incidents/?action=longStates")
    line = visitor.page.locator(".event summary").first
    state, whole = line.locator(".chip").bounding_box(), line.bounding_box()
    assert state is not None and whole is not None
    assert state["x"] + state["width"] <= whole["x"] + whole["width"]
