"""The story of a security key: added from the menu, asked for at the next sign-in, on pages without a barrier."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from tests.browser.live_demo import LiveDemo
from tests.browser.visit import Visitor
from tests.patience import HANG_MS

KEY = {
    "protocol": "ctap2",
    "transport": "usb",
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
ADD_PERSON = "from django.contrib.auth.models import User as U; U.objects.create_user('kim', password='kims-password')"


def test_a_security_key_is_added_from_the_menu_and_signs_its_person_in(browser: Browser, demo: LiveDemo) -> None:
    demo.shell.run(ADD_PERSON)
    context = browser.new_context()
    context.set_default_timeout(HANG_MS)
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": KEY})
    # A key belongs to a host name: browsers accept none for an address.
    visitor = Visitor(page, demo.url.replace("127.0.0.1", "localhost"))
    visitor.sign_in("kim", "kims-password")

    page.locator(".person summary").click()
    page.get_by_role("link", name="Second factor").click()
    assert visitor.barriers() == []
    page.get_by_role("link", name="Add a security key").click()
    page.get_by_role("textbox").fill("My key")
    assert visitor.barriers() == []
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    assert visitor.barriers() == []
    visitor.open("/accounts/second-factor/keys/")
    expect(page.get_by_role("cell", name="My key", exact=True)).to_be_visible()
    visitor.open("/accounts/second-factor/app/")
    assert visitor.barriers() == []

    page.locator(".person summary").click()
    page.get_by_role("button", name="Sign out").click()
    visitor.open("/dashboard/sign-in/")
    page.get_by_label("User name").fill("kim")
    page.get_by_label("Password").fill("kims-password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Second factor")
    assert visitor.barriers() == []
    page.get_by_role("button", name="Use a security key").click()
    page.wait_for_url("**/dashboard/")
    assert visitor.complaints == []
    context.close()
