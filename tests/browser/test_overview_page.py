"""The overview page in a real browser, shown handed-in frames: what stands where, what moves and what does not."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from dashboard.messages import VERSION
from tests.browser.visit import FEED, Frame, Visitor, comes_true, frame

ROWS = "#table tbody tr"
STATE = "#live-word"
QUIET = "No call refused in the last 15 minutes."


def tenants(visitor: Visitor) -> list[str]:
    return [row.split("\t")[0] for row in visitor.page.locator(ROWS).all_inner_texts()]


def test_a_sentence_says_who_is_being_refused_and_so_do_title_and_icon(visitor: Visitor) -> None:
    visitor.shown("/dashboard/", frame("overview"))
    expect(visitor.page.get_by_role("heading", level=1)).to_contain_text(
        "Calls of 2 tenants are being refused: 63 in the last minute, 191 in 15 minutes. "
        "Globex Travel · minute, Umbrella Health · burst"
    )
    expect(visitor.page).to_have_title("(2) Refusing · Overview · Quota")
    expect(visitor.page.locator("#icon")).to_have_attribute("href", re.compile("icon-alert"))


def test_lines_of_figures_are_of_the_same_time_with_gaps_where_nothing_is_known(visitor: Visitor) -> None:
    whole = frame("overview")
    series = {"calls_per_min": [5, 7, None, None, 6], "p95_ms": [90, 80], "multiplier": []}
    visitor.shown("/dashboard/", {**whole, "series": series})
    now = visitor.page.locator("[data-figure=calls_per_min] .line")
    expect(now).to_have_attribute("d", re.compile("^M[^M]*M[^M]*$"))
    starts = [
        float(re.findall(r"M([\d.]+)", visitor.page.locator(f"[data-figure={name}] .line").get_attribute("d") or "")[0])
        for name in ("calls_per_min", "p95_ms")
    ]
    assert 90 < starts[0] < starts[1] < 100, "the newest stand at the right end, a second as wide in each line"


def test_the_fullest_limits_stand_first_and_a_cut_is_in_words_too(visitor: Visitor) -> None:
    visitor.shown("/dashboard/", frame("overview"))
    first = visitor.page.locator(ROWS).first
    expect(first).to_contain_text("372 / 372 cut to 62 %")
    expect(first).to_contain_text("Refusing")
    states = visitor.page.locator(f"{ROWS} .chip").all_inner_texts()
    assert states == ["Refusing"] * 2 + ["Near"] * 2 + ["Shadow", "No data"] + ["OK"] * 6


def test_calls_that_a_shadow_limit_would_have_refused_are_no_refusals(visitor: Visitor) -> None:
    visitor.shown("/dashboard/", frame("overview"))
    row = visitor.page.locator(ROWS).filter(has_text="Shadow")
    expect(row.locator("[data-column=refused] > span")).to_have_text(["0", "64 shadow"])


def test_what_stands_in_a_limits_place_is_named_in_words_and_found_by_them(visitor: Visitor) -> None:
    shown = frame("overview")
    row, line = {**shown["rows"][0], "limit": "(in flight)"}, {**shown["feed"][0], "limit": "(upstream)", "cut": None}
    held_back = {"code": "limit.of_tenant", "tenant": "Globex Travel", "limit": "(upstream)", "action": ""}
    sentence = {**shown["summary"]["sentence"], "limits": [held_back]}
    changed = {"rows": [row, *shown["rows"][1:]], "feed": [line], "summary": {**shown["summary"], "sentence": sentence}}
    visitor.shown("/dashboard/", {**shown, **changed})
    no_limit = "no limit: the upstream took no calls"
    expect(visitor.page.get_by_role("heading", level=1)).to_contain_text(f"Globex Travel · {no_limit}")
    expect(visitor.page.locator("#feed")).to_contain_text(no_limit)
    visitor.page.locator("#search").fill("(learned)")
    expect(visitor.page.locator(ROWS)).to_have_count(1)
    expect(visitor.page.locator(ROWS)).to_contain_text("calls in flight (learned)")
    expect(visitor.page.get_by_text("(upstream)")).to_have_count(0)


def test_rows_stay_where_they_are_while_somebody_reads_them(visitor: Visitor) -> None:
    shown = frame("overview")
    feed = visitor.shown("/dashboard/", shown)
    visitor.page.locator(ROWS).nth(8).get_by_role("link").focus()
    before = tenants(visitor)
    rows = {row["id"]: row for row in shown["rows"]}
    fuller = {**rows["acme|createCase|minute"], "used": 97, "state": "near"}
    feed.send(frame("overview", kind="delta", seq=2, rows=[fuller]))
    expect(visitor.page.locator("#moved")).to_contain_text("rows moved")
    assert tenants(visitor) == before
    expect(visitor.page.locator(ROWS).nth(7)).to_contain_text("97 / 100")
    visitor.page.get_by_role("button", name="Re-sort").click()
    expect(visitor.page.locator(ROWS).nth(2)).to_contain_text("97 / 100")
    expect(visitor.page.locator("#moved")).to_be_hidden()


def test_filters_count_and_choose_and_the_search_narrows(visitor: Visitor) -> None:
    visitor.shown("/dashboard/", frame("overview"))
    near = visitor.page.get_by_role("button", name="Near 2")
    near.click()
    expect(visitor.page.locator(ROWS)).to_have_count(2)
    expect(near).to_have_attribute("aria-pressed", "true")
    visitor.page.get_by_role("searchbox").fill("umbrella day")
    expect(visitor.page.locator(ROWS)).to_have_count(1)
    visitor.page.get_by_role("searchbox").fill("nobody")
    expect(visitor.page.get_by_text("No limit matches")).to_be_visible()


def test_search_state_and_order_stand_in_the_address_and_come_back(visitor: Visitor) -> None:
    visitor.shown("/dashboard/?q=acme&sort=-refused", frame("overview"))
    page = visitor.page
    expect(page.get_by_role("searchbox")).to_have_value("acme")
    refused = page.get_by_role("columnheader", name="Refused 15 min")
    expect(refused).to_have_attribute("aria-sort", "descending")
    page.get_by_role("searchbox").fill("")
    expect(page.locator(ROWS)).to_have_count(12)
    cells = page.locator(f"{ROWS} [data-column=refused]").all_inner_texts()
    numbers = [int(cell.split()[0].replace(",", "")) for cell in cells]
    assert numbers == sorted(numbers, reverse=True) and len(set(numbers)) > 2
    refused.get_by_role("button").click()
    expect(refused).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("button", name="Near 2").click()
    expect(page).to_have_url(re.compile(r"\?sort=refused&state=near$"))
    page.go_back()
    expect(page.locator(ROWS)).to_have_count(12)
    expect(page.get_by_role("button", name="All 12")).to_have_attribute("aria-pressed", "true")
    page.go_back()
    expect(refused).to_have_attribute("aria-sort", "descending")
    assert visitor.barriers() == []


@pytest.mark.parametrize("width", [390, 1280, 1600])
def test_the_notes_of_key_figures_are_read_whole_above_lines_at_one_height(visitor: Visitor, width: int) -> None:
    page = visitor.page
    page.set_viewport_size({"width": width, "height": 900})
    visitor.shown("/dashboard/", frame("overview"))
    expect(page.locator(".note").first).to_have_text("in the last minute")
    cut = "(notes) => notes.filter((note) => note.scrollWidth > note.clientWidth).map((note) => note.textContent)"
    assert page.locator(".note").evaluate_all(cut) == []
    ends = "(cards) => cards.map((card) => [card.offsetTop, card.querySelector('.spark-place').offsetTop])"
    assert len(dict(page.locator(".kpi").evaluate_all(ends))) == len(
        {tuple(each) for each in page.locator(".kpi").evaluate_all(ends)}
    )


def test_a_column_can_be_hidden_and_stays_hidden(visitor: Visitor) -> None:
    visitor.shown("/dashboard/", frame("overview"))
    visitor.page.get_by_text("Columns").click()
    visitor.page.get_by_label("Trend").uncheck()
    expect(visitor.page.get_by_role("columnheader", name="Trend")).to_be_hidden()
    visitor.page.reload()
    expect(visitor.page.locator(ROWS)).to_have_count(12)
    expect(visitor.page.get_by_role("columnheader", name="Trend")).to_be_hidden()


def test_a_refusal_appears_at_the_top_of_the_feed_and_leads_to_its_explanation(visitor: Visitor) -> None:
    shown = frame("overview")
    feed = visitor.shown("/dashboard/", shown)
    fresh = {"at_ms": shown["at_ms"], "tenant": "acme", "action": "createCase", "limit": "minute", "count": 3}
    feed.send(frame("overview", kind="delta", seq=2, feed=[{**fresh, "cut": None, "decision_id": "d-new"}]))
    newest = visitor.page.get_by_role("log").locator(".entry").first
    expect(newest).to_contain_text("acme · createCase · minute")
    expect(newest).to_contain_text("3 in 1 s")
    expect(newest.get_by_role("link")).to_have_attribute("href", "/dashboard/refusals/?decision=d-new")


def test_refusals_lead_to_the_incident_that_they_belong_to_once_there_is_one(visitor: Visitor) -> None:
    shown = frame("overview")
    row, line = shown["rows"][0], {**shown["feed"][0], "at_ms": shown["at_ms"]}
    feed = visitor.shown("/dashboard/", {**shown, "rows": [row], "feed": [line]})
    table, log = visitor.page.locator(ROWS), visitor.page.get_by_role("log")
    expect(table).to_have_count(1)
    expect(log.get_by_role("link")).to_have_count(1)
    expect(table.get_by_role("link", name="refused: open")).to_have_count(0)
    feed.send(
        frame(
            "overview", kind="delta", seq=2, rows=[{"id": row["id"], "incident": 31}], feed=[{**line, "incident": 31}]
        )
    )
    there = ("href", "/dashboard/incidents/31/")
    expect(table.get_by_role("link", name="refused: open the incident")).to_have_attribute(*there)
    expect(log.get_by_role("link", name="Incident")).to_have_attribute(*there)


def test_text_from_outside_stays_text(visitor: Visitor) -> None:
    bad = "<img src=x onerror=alert(1)>"
    shown = frame("overview")
    rows = [{**shown["rows"][0], "tenant_name": bad}]
    visitor.shown(
        "/dashboard/",
        frame(
            "overview",
            rows=rows,
            changes=[{"at_ms": 1, "kind": "policy", "code": "change.policy", "policy": bad, "version": 1}],
        ),
    )
    expect(visitor.page.locator("#changes")).to_contain_text(bad)
    expect(visitor.page.locator("#table img, #changes img")).to_have_count(0)


def test_pause_stops_the_numbers_and_resume_brings_the_newest(visitor: Visitor) -> None:
    feed = visitor.shown("/dashboard/", frame("overview"))
    expect(visitor.page.locator(STATE)).to_have_text("Live")
    visitor.page.get_by_role("button", name="Pause").click()
    expect(visitor.page.locator(STATE)).to_have_text("Paused")
    changed = frame("overview")
    changed["figures"]["calls_per_min"]["value"] = 4711
    feed.first = (changed,)
    expect(visitor.page.locator(".figure").first).to_have_text("12,480")
    visitor.page.get_by_role("button", name="Resume").click()
    expect(visitor.page.locator(".figure").first).to_have_text("4,711")
    assert feed.opened == 2


def test_after_a_gap_the_page_asks_for_everything(visitor: Visitor) -> None:
    feed = visitor.shown("/dashboard/", frame("overview"))
    expect(visitor.page.locator(STATE)).to_have_text("Live")
    feed.send(frame("overview", kind="delta", seq=5, figures={"calls_per_min": {"value": 99}}))
    figures = {**frame("overview")["figures"], "calls_per_min": {"value": 100}}
    feed.send(frame("overview", kind="full", seq=6, figures=figures))
    expect(visitor.page.locator(".figure").first).to_have_text("100")
    assert feed.asked == [{"want": "full"}]


def test_a_broken_connection_is_made_again(visitor: Visitor) -> None:
    feed = visitor.shown("/dashboard/", frame("overview"))
    expect(visitor.page.locator(STATE)).to_have_text("Live")
    feed.close()
    expect(visitor.page.locator(STATE)).to_have_text("Reconnecting")
    expect(visitor.page.locator(STATE)).to_have_text("Live")
    assert feed.opened == 2


def test_frames_of_a_newer_release_bring_its_scripts_with_one_reload(visitor: Visitor) -> None:
    feed = visitor.shown("/dashboard/", frame("overview"))
    expect(visitor.page.locator(STATE)).to_have_text("Live")
    visitor.page.evaluate("window.stillTheSamePage = true")
    feed.send(frame("overview", v=VERSION + 1, seq=2, rows="in another form"))
    comes_true(visitor.page, "window.stillTheSamePage === undefined")
    expect(visitor.page.locator(STATE)).to_have_text("Live")
    # A server of the earlier release answered the reload, or it would not be news again.
    feed.send(frame("overview", v=VERSION + 1, seq=2))
    expect(visitor.page.locator(STATE)).to_have_text("Reconnecting")
    assert feed.opened == 2


def test_frames_of_the_release_before_are_not_drawn_wrongly_but_bring_its_scripts(visitor: Visitor) -> None:
    feed = visitor.shown("/dashboard/", frame("overview"))
    expect(visitor.page.locator(STATE)).to_have_text("Live")
    visitor.page.evaluate("window.stillTheSamePage = true")
    feed.send(frame("overview", v=1, seq=2, figures=None, summary={"sentence": "in the form of before"}))
    comes_true(visitor.page, "window.stillTheSamePage === undefined")
    expect(visitor.page.locator(STATE)).to_have_text("Live")


def test_where_websockets_are_blocked_the_page_polls(newcomer: Visitor) -> None:
    polled = frame("overview", seq=9)
    newcomer.page.route("**/dashboard/api/overview.json", lambda route: _respond(route, polled))
    newcomer.page.route_web_socket(FEED, lambda socket: socket.close(code=1008))
    newcomer.open("/dashboard/")
    expect(newcomer.page.locator(STATE)).to_have_text("Live, by polling")
    expect(newcomer.page.locator(ROWS)).to_have_count(12)


def test_a_person_who_loses_the_right_reads_that_an_administrator_can_help(visitor: Visitor) -> None:
    feed = visitor.shown("/dashboard/", frame("overview"))
    expect(visitor.page.locator(STATE)).to_have_text("Live")
    feed.close(code=4403)
    expect(visitor.page.get_by_role("alert")).to_contain_text("Ask an administrator")


def test_old_numbers_stay_and_their_age_is_shown(newcomer: Visitor) -> None:
    newcomer.page.clock.install()
    newcomer.shown("/dashboard/", frame("overview"))
    newcomer.page.clock.run_for(1_000)
    age = newcomer.page.locator("#age")
    expect(age).not_to_have_attribute("data-state", re.compile("."))
    newcomer.page.clock.run_for(6_000)
    expect(age).to_have_attribute("data-state", "near")
    newcomer.page.clock.fast_forward(20_000)
    expect(age).to_have_attribute("data-state", "unknown")
    expect(newcomer.page.locator(ROWS)).to_have_count(12)


def test_the_age_of_old_numbers_fits_on_a_telephone(newcomer: Visitor) -> None:
    newcomer.page.set_viewport_size({"width": 360, "height": 780})
    newcomer.page.clock.install()
    feed = newcomer.shown("/dashboard/", frame("overview"))
    newcomer.page.clock.run_for(1_000)
    feed.first = ()
    feed.close()
    newcomer.page.clock.fast_forward(40 * 60_000)
    expect(newcomer.page.locator("#age")).to_have_attribute("data-state", "unknown")
    assert not newcomer.scrolls_sideways()


def test_a_transition_is_announced_and_a_tick_is_not(newcomer: Visitor) -> None:
    newcomer.page.clock.install()
    feed = newcomer.shown("/dashboard/", frame("overview"))
    feed.send(frame("overview", kind="delta", seq=2))
    newcomer.page.clock.run_for(500)
    announcer = newcomer.page.locator("#announcer")
    expect(announcer).to_have_text("")
    summary = {
        **frame("overview")["summary"],
        "state": "ok",
        "sentence": {"code": "overview.quiet", "calls": 0, "minutes": 15},
    }
    feed.send(frame("overview", kind="delta", seq=3, summary=summary))
    expect(newcomer.page.get_by_role("heading", level=1)).to_contain_text(QUIET)
    newcomer.page.clock.run_for(1_000)
    expect(announcer).to_have_text(QUIET)


def test_a_degraded_limiter_is_an_alert(visitor: Visitor) -> None:
    away = {"code": "degraded.store", "since": 1_784_025_727_000}
    summary = {**frame("overview")["summary"], "degraded": away}
    visitor.shown("/dashboard/", frame("overview", summary=summary))
    expect(visitor.page.get_by_role("alert")).to_contain_text("store has been unavailable since 10:42 UTC.")


def test_without_a_call_the_page_says_how_to_make_one(visitor: Visitor) -> None:
    visitor.shown("/dashboard/", frame("overview", rows=[], feed=[], changes=[]))
    expect(visitor.page.get_by_role("heading", name="No calls yet")).to_be_visible()
    expect(visitor.page.locator("#empty code")).to_contain_text(f"curl -X POST {visitor.url}/invoke/")


def test_on_a_telephone_the_pages_are_named_in_whole_words(visitor: Visitor) -> None:
    visitor.page.set_viewport_size({"width": 360, "height": 780})
    visitor.shown("/dashboard/", frame("overview"))
    pages = visitor.page.locator(".top nav a")
    expect(pages).to_have_count(6)
    heights = {round(box["height"]) for each in pages.all() if (box := each.bounding_box())}
    assert len(heights) == 1 and max(heights) < 36
    assert not visitor.scrolls_sideways()


def test_on_a_telephone_each_limit_is_a_card_and_nothing_scrolls_sideways(visitor: Visitor) -> None:
    visitor.page.set_viewport_size({"width": 360, "height": 780})
    visitor.shown("/dashboard/", frame("overview"))
    expect(visitor.page.locator(ROWS).first).to_match_aria_snapshot('- cell "left 0"')
    assert not visitor.scrolls_sideways()


def test_the_theme_is_chosen_by_hand_and_kept(visitor: Visitor) -> None:
    visitor.shown("/dashboard/", frame("overview"))
    colour = "getComputedStyle(document.body).backgroundColor"
    assert visitor.page.evaluate(colour) == "rgb(246, 247, 249)"
    visitor.page.get_by_role("button", name="Change between light and dark").click()
    assert visitor.page.evaluate(colour) == "rgb(15, 19, 24)"
    visitor.page.reload()
    assert visitor.page.evaluate(colour) == "rgb(15, 19, 24)"


def _respond(route: Route, body: dict[str, object]) -> None:
    route.fulfill(json=body)


TEXT = "Acme Retail \N{MIDDLE DOT} createCase \N{MIDDLE DOT} minute has reached 80 %"
NEAR: dict[str, Any] = {
    "id": 7,
    "ids": [7],
    "at_ms": 1_784_025_700_000,
    "tenant": "acme",
    "tenant_name": "Acme Retail",
    "action": "createCase",
    "limit": "minute",
    "threshold": 80,
    "state": "near",
    "used": 83,
    "effective": 100,
    "full_in_s": 12.0,
}
HIGHER = {**NEAR, "id": 9, "ids": [7, 9], "threshold": 95}


def quiet(**changes: Any) -> Frame:
    """A frame in which nobody is refused."""
    shown = frame("overview")
    rows = [row for row in shown["rows"] if row["state"] != "stop"]
    summary = {**shown["summary"], "state": "ok", "sentence": {"code": "overview.quiet", "minutes": 15}}
    return frame("overview", rows=rows, summary=summary, **changes)


@pytest.mark.parametrize(("path", "name"), [("/dashboard/", "overview"), ("/dashboard/tenants/globex/", "tenant")])
def test_before_the_first_numbers_the_page_does_not_say_that_there_is_nothing(
    visitor: Visitor, path: str, name: str
) -> None:
    feed = visitor.shown(path)
    none = visitor.page.locator(".if-none")
    expect(none).to_have_count(3)
    expect(visitor.page.locator("#live-word")).to_have_text("Connecting")
    assert not any(each.is_visible() for each in none.all())
    feed.send(frame(name, feed=[], changes=[], connections=[]))
    expect(none.first).to_be_visible()


def test_an_alert_is_announced_once_shown_and_named_in_the_title_until_it_ends(visitor: Visitor) -> None:
    feed = visitor.shown("/dashboard/", quiet(alerts=[]))
    page = visitor.page
    alerts, spoken = page.get_by_role("region", name="Alerts"), page.locator("#alert-announcer")
    # Of two frames that come before anything is drawn the page draws the newer one only.
    expect(page.locator(ROWS)).not_to_have_count(0)
    expect(alerts).to_be_hidden()
    feed.send(quiet(seq=2, alerts=[NEAR]))
    expect(alerts).to_contain_text("minute has reached 80 % 83 of 100 used, full in 12 s")
    expect(page).to_have_title("(1) Alert \N{MIDDLE DOT} Overview \N{MIDDLE DOT} Quota")
    expect(page.locator("#icon")).to_have_attribute("href", re.compile("icon-near"))
    expect(spoken).to_have_text(f"Alert: {TEXT}.")
    feed.send(quiet(seq=3, alerts=[{**NEAR, "used": 84, "full_in_s": 0.4}]))
    expect(alerts).to_contain_text("84 of 100 used \N{MIDDLE DOT} since")
    expect(spoken).to_have_text(f"Alert: {TEXT}.")
    feed.send(quiet(seq=4, alerts=[]))
    expect(alerts).to_be_hidden()
    expect(spoken).to_have_text(f"Over: {TEXT}.")
    expect(page).to_have_title("Overview \N{MIDDLE DOT} Quota")


def test_an_acknowledged_alert_is_hidden_for_the_team_until_it_gets_worse(visitor: Visitor) -> None:
    asked: list[Any] = []

    def respond(route: Route) -> None:
        asked.append(route.request.post_data_json)
        _respond(route, {"done": True})

    visitor.page.route("**/api/actions/team/", respond)
    feed = visitor.shown("/dashboard/", quiet(alerts=[NEAR]))
    page = visitor.page
    page.get_by_role("button", name="Acknowledge:").click()
    expect(page.get_by_text(TEXT, exact=True)).to_have_count(0)
    expect(page).to_have_title("Overview \N{MIDDLE DOT} Quota")
    seen = {"acknowledged_by": "ben", "owner": "eve", "incident": 31, "muted_until_ms": 1_784_025_900_000}
    feed.send(quiet(seq=2, alerts=[{**HIGHER, "threshold": 80, **seen}]))  # by somebody else, for everybody
    page.get_by_role("button", name="Show 1 acknowledged alert").click()
    region = page.get_by_role("region", name="Alerts")
    expect(region).to_contain_text("acknowledged by ben \N{MIDDLE DOT} eve has it \N{MIDDLE DOT} muted until")
    expect(region.get_by_role("link", name="Incident")).to_have_attribute("href", "/dashboard/incidents/31/")
    page.get_by_role("button", name="Unmute:").click()
    page.get_by_role("button", name="Hide acknowledged alerts").click()
    feed.send(quiet(seq=3, alerts=[{**HIGHER, "id": 11, "ids": [7, 9, 11]}]))
    expect(region).to_contain_text("has reached 95 %")
    assert asked == [{"alert": 7, "kind": "acknowledged"}, {"alert": 9, "kind": "unmuted", "minutes": 60}]
    assert visitor.barriers() == []
