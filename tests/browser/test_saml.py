"""The story of a sign-in through a SAML provider on another site, whose response brings no session cookie with it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.live_demo import LiveDemo
from tests.browser.visit import Visitor
from tests.patience import HANG_MS
from tests.quota_platform.accounts.saml_provider import Key, Provider, serving


@pytest.fixture
def provider(demo: LiveDemo) -> Iterator[Provider]:
    """At ``localhost``, which is another site than the ``127.0.0.1`` of the platform."""
    groups = json.dumps({"supervisors": {"groups": ["Supervisor"], "tenants": ["acme"]}})
    with serving(Key()) as provider:
        with demo.with_settings(
            SAML_METADATA_URL=provider.issuer, SAML_NAME="Acme Identity", SAML_GROUPS=groups, PUBLIC_URL=demo.url
        ):
            yield provider


@pytest.mark.slow  # the platform starts twice more, with a provider and without
def test_a_person_signs_in_through_a_provider_on_another_site(
    browser: Browser, demo: LiveDemo, provider: Provider
) -> None:
    context = browser.new_context()
    context.set_default_timeout(HANG_MS)
    page = context.new_page()
    visitor = Visitor(page, demo.url)
    visitor.open("/dashboard/tenants/acme/")
    page.get_by_role("link", name="Sign in with Acme Identity").click()
    page.get_by_role("button", name="Sign in as Ana").click()
    page.wait_for_url("**/dashboard/tenants/acme/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Acme")
    assert visitor.complaints == []

    visitor.open("/accounts/sign-in/")
    visitor.open("/dashboard/tenants/acme/")
    page.locator("summary", has_text="ana").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/accounts/sign-in/")
    assert len(provider.left) == 1 and visitor.complaints == []
    visitor.open("/dashboard/tenants/acme/")
    page.get_by_role("link", name="Sign in with Acme Identity").click()
    page.get_by_role("button", name="Sign in as Ana").click()
    page.wait_for_url("**/dashboard/tenants/acme/")

    page.go_back()
    page.get_by_role("button", name="Sign in as Ana").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You may not sign in here")
    assert visitor.barriers() == []
    context.close()
