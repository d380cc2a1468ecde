"""Takes the pictures in docs/pictures/: ``python -m tests.browser.screenshots``, on a seeded demo of its own."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from quota_platform.env import BASE_DIR
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.live_demo import LiveDemo
from tests.browser.visit import THEMES, Frame, Theme, Visitor, frame

PICTURES = BASE_DIR / "docs" / "pictures"
PAGES = {"overview": "/dashboard/", "tenant": "/dashboard/tenants/globex/"}
SIZES = {1440: 900, 360: 780}
ALERTS = {"lookupOrder": 100, "changeBooking": 80}
"""Action of Globex -> threshold that its minute has reached."""


ENDING = """
from datetime import timedelta
from django.utils import timezone
from limiter.models import AlertHook, Override
from tenants.models import Action, ApiKey, Tenant
now, acme = timezone.now(), Tenant.objects.get(tenant_id="acme")
ApiKey.objects.issue(name="Callback robot", tenant=acme, expires_at=now + timedelta(days=3))
end = now + timedelta(hours=5)
calls = Action.objects.get(tenant=acme, action_id="lookupOrder")
Override.objects.create(tenant=acme, action=calls, effect="factor", factor=2, ends_at=end, reason="spring campaign")
hook = AlertHook(name="On-call", tenant=acme, url="https://hooks.example.com/quota", failures=2)
hook.renew_secret()
hook.save()
"""
"""Rows that the admin's first page names: a key and an override that end, and a contact point that fails."""


def main() -> None:
    var = Path(tempfile.mkdtemp(prefix="quota-pictures-"))
    demo = LiveDemo(var, pseudo_language=False)
    try:
        demo.start()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            for theme in THEMES:
                _take(browser, demo, theme)
            _take_incident(browser, demo)
            _take_accounts(browser, demo)
            browser.close()
    finally:
        demo.stop()
        shutil.rmtree(var, ignore_errors=True)


def _take(browser: Browser, demo: LiveDemo, theme: Theme) -> None:
    """One session for each theme; the pages are shown the written frames, so that pictures differ only by design."""
    context = browser.new_context(color_scheme=theme)
    visitor = Visitor(context.new_page(), demo.url)
    visitor.sign_in(*demo.sign_in)
    for name, path in PAGES.items():
        for width, height in SIZES.items():
            visitor.page.set_viewport_size({"width": width, "height": height})
            visitor.shown(path, frame(name, alerts=_alerts(frame(name))))
            visitor.page.locator("#table tbody tr").first.wait_for()
            visitor.page.screenshot(path=PICTURES / f"{name}-{width}-{theme}.png", full_page=width > 1000)
    if theme == "dark":
        visitor.page.set_viewport_size({"width": 1920, "height": 1080})
        visitor.shown("/dashboard/?wallboard=1", frame("overview"))
        visitor.page.locator("#table tbody tr").first.wait_for()
        visitor.page.screenshot(path=PICTURES / "wallboard-1920-dark.png")
    if theme == "light":
        demo.shell.run(ENDING)
        visitor.page.set_viewport_size({"width": 1440, "height": 900})
        visitor.open("/admin/")
        visitor.page.locator("#glance-figures").wait_for()
        visitor.page.screenshot(path=PICTURES / "admin-1440-light.png")
        visitor.page.set_viewport_size({"width": 1440, "height": 900})
        visitor.shown(PAGES["tenant"], frame("tenant"))
        visitor.page.locator("#shares dl").first.wait_for()
        visitor.page.locator("#shares-card").screenshot(path=PICTURES / "shares-light.png")
        connection = demo.shell.run("from tenants.models import Connection; print(Connection.objects.first().pk)")
        visitor.shown(f"/dashboard/connections/{int(connection)}/limits/pool/", frame("pool"))
        visitor.page.locator("#parts tr").first.wait_for()
        visitor.page.screenshot(path=PICTURES / "pool-1440-light.png")
        _take_notices(visitor)
    context.close()


def _take_notices(visitor: Visitor) -> None:
    """The menu of a person who switched both on."""
    page = visitor.page
    page.context.grant_permissions(["notifications"], origin=visitor.url)
    visitor.shown(PAGES["overview"], frame("overview"))
    page.locator(".person > summary").click()
    page.get_by_label("Desktop notification").check()
    page.get_by_label("Sound").check()
    page.locator(".menu.person .menu-body").screenshot(path=PICTURES / "notices-light.png")


def _take_incident(browser: Browser, demo: LiveDemo) -> None:
    """Of calls that were refused here, and acknowledged on the page."""
    demo.limit("createCase", 10)
    demo.call("createCase", calls=25)
    demo.follow_refusals()
    visitor = Visitor(browser.new_context().new_page(), demo.url)
    visitor.sign_in(*demo.sign_in)
    page = visitor.page
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{demo.url}/dashboard/incidents/?state=open")
    page.locator("summary").filter(has_text="createCase").click()
    page.get_by_role("link", name="Open the incident").click()
    page.get_by_role("button", name="Acknowledge for the team").click()
    page.get_by_label("Note").fill("The campaign of Monday; the limit is raised until noon.")
    page.get_by_role("button", name="Add the note").click()
    page.get_by_text("The campaign of Monday").first.wait_for()
    page.screenshot(path=PICTURES / "incident-1440-light.png", full_page=True)
    page.context.close()


def _take_accounts(browser: Browser, demo: LiveDemo) -> None:
    """The sign-in page, and the set-up of an app with a secret that was made for this picture."""
    page = browser.new_context(viewport={"width": 960, "height": 700}, color_scheme="light").new_page()
    visitor = Visitor(page, demo.url)
    visitor.open("/accounts/sign-in/")
    page.screenshot(path=PICTURES / "sign-in-960-light.png")
    visitor.sign_in(*demo.sign_in)
    visitor.open("/accounts/second-factor/app/")
    page.screenshot(path=PICTURES / "second-factor-960-light.png", full_page=True)
    page.context.close()


def _alerts(shown: Frame) -> list[dict[str, Any]]:
    """Alerts on rows of the frame, as the server would tell of them."""
    rows = {row["action"]: row for row in shown["rows"] if row["tenant"] == "globex" and row["limit"] == "minute"}
    return [_alert(rows[action], threshold, shown["at_ms"]) for action, threshold in ALERTS.items()]


def _alert(row: dict[str, Any], threshold: int, at_ms: int) -> dict[str, Any]:
    return {**row, "id": threshold, "ids": [threshold], "at_ms": at_ms - 40_000, "threshold": threshold}


if __name__ == "__main__":
    main()
