"""The stories of a second factor: an app and a security key, set up from the menu, asked for, and taken away again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.live_demo import LiveDemo
from tests.browser.visit import Visitor
from tests.patience import HANG_MS
from tests.quota_platform.accounts.totp import code

KEY = {
    "protocol": "ctap2",
    "transport": "usb",
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
ADD_PERSON = "from django.contrib.auth.models import User as U; U.objects.create_user('kim', password='kims-password')"
FORGET = """
from allauth.mfa.models import Authenticator
Authenticator.objects.filter(user__username="supervisor").delete()
"""


@pytest.fixture
def visitor(browser: Browser, demo: LiveDemo) -> Iterator[Visitor]:
    """Somebody at a browser with a security key in it."""
    context = browser.new_context()
    context.set_default_timeout(HANG_MS)
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": KEY})
    # A key belongs to a host name: browsers accept none for an address.
    visitor = Visitor(page, demo.url.replace("127.0.0.1", "localhost"))
    yield visitor
    assert visitor.complaints == []
    context.close()


@pytest.fixture
def _demo_s_own_account_is_left_without_factors(demo: LiveDemo) -> Iterator[None]:
    yield
    demo.shell.run(FORGET)


def second_factors(page: Page) -> None:
    page.locator(".person summary").click()
    page.get_by_role("link", name="Second factor", exact=True).click()


def sign_in_again(visitor: Visitor, name: str, password: str) -> None:
    """Sign out, and enter the password."""
    page = visitor.page
    page.locator(".person summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/accounts/sign-in/")
    visitor.open("/dashboard/sign-in/")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


@pytest.mark.usefixtures("_demo_s_own_account_is_left_without_factors")
def test_the_demo_s_supervisor_sets_up_an_app_and_a_key_signs_in_with_each_and_removes_both(
    visitor: Visitor, demo: LiveDemo
) -> None:
    page, (name, password) = visitor.page, demo.supervisor_sign_in
    visitor.sign_in(name, password)
    secret = set_up_app(visitor)
    add_key(visitor, "Supervisor's key")
    ways: tuple[Callable[[], None], ...] = (
        lambda: enter_code(page, code(secret, steps=1)),  # the first one is used up
        lambda: use_key(page),
    )
    for use in ways:
        sign_in_again(visitor, name, password)
        expect(page.get_by_role("heading", level=1)).to_have_text("Second factor")
        use()
        page.wait_for_url("**/dashboard/")

    second_factors(page)
    page.get_by_role("link", name="Remove the app").click()
    assert visitor.barriers() == []
    page.get_by_role("button", name="Remove the app").click()
    expect(page.locator("main")).to_contain_text("It is not set up.")
    page.get_by_role("link", name="Your security keys").click()
    page.get_by_role("link", name="Remove").click()
    assert visitor.barriers() == []
    page.get_by_role("button", name="Remove the key").click()
    expect(page.locator("main")).to_contain_text("You have none.")
    sign_in_again(visitor, name, password)
    page.wait_for_url("**/dashboard/")


def set_up_app(visitor: Visitor) -> str:
    """From the menu to the recovery codes; the secret."""
    page = visitor.page
    second_factors(page)
    page.get_by_role("link", name="Set up").click()
    assert visitor.barriers() == []
    secret = page.get_by_label("Secret").input_value()
    page.get_by_label("Authenticator code").fill(code(secret))
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    return secret


def add_key(visitor: Visitor, name: str) -> None:
    page = visitor.page
    second_factors(page)
    page.get_by_role("link", name="Add a security key").click()
    name_key(page, name)
    assert visitor.barriers() == []
    adding = page.url
    page.get_by_role("button", name="Add").click()
    page.wait_for_url(lambda url: url != adding)  # once the key is registered
    visitor.open("/accounts/second-factor/keys/")
    expect(page.get_by_role("cell", name=name, exact=True)).to_be_visible()


def name_key(page: Page, name: str) -> None:
    page.get_by_role("textbox").fill(name)
    page.wait_for_load_state()  # "Add" waits for its script, too


def use_key(page: Page) -> None:
    page.wait_for_load_state()  # the button waits for its script
    page.get_by_role("button", name="Use a security key").click()


def enter_code(page: Page, digits: str) -> None:
    page.get_by_label("Code").fill(digits)
    page.get_by_role("button", name="Sign in").click()


def test_a_security_key_alone_is_added_from_the_menu_and_signs_its_person_in(visitor: Visitor, demo: LiveDemo) -> None:
    demo.shell.run(ADD_PERSON)
    page = visitor.page
    visitor.sign_in("kim", "kims-password")
    second_factors(page)
    assert visitor.barriers() == []
    page.get_by_role("link", name="Add a security key").click()
    name_key(page, "My key")
    assert visitor.barriers() == []
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    assert visitor.barriers() == []
    sign_in_again(visitor, "kim", "kims-password")
    expect(page.get_by_role("heading", level=1)).to_have_text("Second factor")
    assert visitor.barriers() == []
    use_key(page)
    page.wait_for_url("**/dashboard/")
