"""Alerts outside the page: switched on by a click, shown once however many tabs are open, silent for those handled."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.test_overview_page import HIGHER, NEAR, TEXT, quiet
from tests.browser.visit import Feed, Visitor, comes_true

WATCH = """
  window.shown = []; window.tones = 0; window.asked = 0;
  const Real = window.Notification;
  window.Notification = class extends Real {
    constructor(title, options) { super(title, options); window.shown.push([title, options.tag]); }
    static requestPermission() { window.asked += 1; return Real.requestPermission(); }
  };
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (...when) { window.tones += 1; return start.apply(this, when); };
"""
"""The browser's own notifications and sounds, each noted as it is made."""
HIDE = """() => {
  Object.defineProperty(document, "hidden", { get: () => true, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def watched(visitor: Visitor, *, granted: bool = True) -> Visitor:
    visitor.page.context.add_init_script(WATCH)
    if granted:
        visitor.page.context.grant_permissions(["notifications"], origin=visitor.url)
    return visitor


def menu(page: Page) -> None:
    page.locator(".person > summary").click()


def switch_on(page: Page, *labels: str) -> None:
    menu(page)
    for label in labels:
        page.get_by_label(label).check()


def started(*ids: int, seq: int = 2, **about: Any) -> dict[str, Any]:
    return quiet(seq=seq, alerts=[{**NEAR, "id": max(ids), "ids": list(ids), **about}])


def shown(page: Page) -> Any:
    return page.evaluate("window.shown")


def seen(page: Page, feed: Feed, *frames: dict[str, Any]) -> None:
    """Let the page take the frames; the last one of all has an age that the page writes."""
    for each in frames:
        feed.send(each)
    last = frames[-1]["alerts"]
    expect(page.locator("#alerts li")).to_have_count(len([each for each in last if not each.get("acknowledged_by")]))


def test_nothing_is_asked_or_shown_until_a_person_switches_it_on(newcomer: Visitor) -> None:
    visitor = watched(newcomer)
    feed = visitor.shown("/dashboard/", quiet(alerts=[]))
    seen(visitor.page, feed, started(7))
    assert visitor.page.evaluate("[window.asked, window.shown.length, window.tones]") == [0, 0, 0]


def test_an_alert_that_starts_is_notified_with_a_sound_and_the_choice_is_kept(newcomer: Visitor) -> None:
    visitor = watched(newcomer)
    page = visitor.page
    visitor.shown("/dashboard/", quiet(alerts=[]))
    switch_on(page, "Desktop notification", "Sound")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.locator("#notices-said")).to_have_text(
        "Sent. If you see none, your system hides the browser's notifications."
    )
    comes_true(page, "window.tones === 2")
    assert shown(page) == [["Test: alerts are shown like this", "quota-alert-test"]]
    feed = visitor.shown("/dashboard/", quiet(alerts=[NEAR]))
    menu(page)
    expect(page.get_by_label("Desktop notification")).to_be_checked()
    seen(page, feed, quiet(seq=2, alerts=[HIGHER]))
    comes_true(page, "window.shown.length === 1 && window.tones === 2")
    assert shown(page) == [[TEXT.replace("80", "95"), "quota-alert-9"]], "not the one that was on the page already"


def test_muted_acknowledged_and_shadow_alerts_stay_silent(newcomer: Visitor) -> None:
    visitor = watched(newcomer)
    page = visitor.page
    feed = visitor.shown("/dashboard/", quiet(alerts=[]))
    switch_on(page, "Desktop notification")
    silent: list[dict[str, Any]] = [
        {"acknowledged_by": "ben"},
        {"muted_until_ms": 1_984_025_900_000},
        {"state": "shadow"},
    ]
    alerts = [{**NEAR, "id": at, "ids": [at], "limit": f"l{at}", **about} for at, about in enumerate(silent, 20)]
    seen(page, feed, quiet(seq=2, alerts=alerts), quiet(seq=3, alerts=[*alerts, {**NEAR, "id": 30, "ids": [30]}]))
    comes_true(page, "window.shown.length > 0")
    assert [tag for _, tag in shown(page)] == ["quota-alert-30"]


def test_of_several_tabs_one_shows_an_alert(newcomer: Visitor) -> None:
    visitor = watched(newcomer)
    feeds = [visitor.shown("/dashboard/", quiet(alerts=[]))]
    switch_on(visitor.page, "Desktop notification")
    others = [Visitor(visitor.page.context.new_page(), visitor.url) for _ in range(2)]
    feeds += [other.shown("/dashboard/", quiet(alerts=[])) for other in others]
    pages = [visitor.page, *(other.page for other in others)]
    for page, feed in zip(pages, feeds, strict=True):
        page.bring_to_front()
        expect(page.locator("#sentence")).not_to_contain_text("Waiting")
        feed.send(started(7))
        expect(page.locator("#alerts li")).to_have_count(1)
    assert sorted(len(shown(page)) for page in pages) == [0, 0, 1]
    assert [each.complaints for each in others] == [[], []]


def test_a_hidden_page_goes_on_only_while_it_is_to_notify(newcomer: Visitor) -> None:
    visitor = watched(newcomer)
    page = visitor.page
    feed = visitor.shown("/dashboard/", quiet(alerts=[]))
    expect(page.locator("#sentence")).not_to_contain_text("Waiting")
    switch_on(page, "Desktop notification")
    page.evaluate(HIDE)
    feed.send(started(7))
    comes_true(page, "window.shown.length === 1")
    assert feed.opened == 1


def test_a_page_whose_browser_blocks_notifications_says_so(newcomer: Visitor) -> None:
    visitor = watched(newcomer, granted=False)
    page = visitor.page
    session = page.context.new_cdp_session(page)
    setting = {"permission": {"name": "notifications"}, "setting": "denied", "origin": visitor.url}
    session.send("Browser.setPermission", setting)
    visitor.shown("/dashboard/", quiet(alerts=[]))
    menu(page)
    page.get_by_label("Desktop notification").click()
    expect(page.locator("#notices-said")).to_contain_text("Your browser blocks notifications from this site.")
    expect(page.get_by_label("Desktop notification")).not_to_be_checked()
    assert visitor.barriers() == []
