"""Debian's Chromium, the platform it visits, and pages that fail a test when their console says anything wrong."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ViewportSize, expect, sync_playwright

from tests import migrated
from tests.browser.live_demo import LiveDemo
from tests.browser.visit import Visitor
from tests.patience import HANG_MS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
VIEWPORT: ViewportSize = {"width": 1440, "height": 900}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = str(Path(__file__).parent) + os.sep
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.browser)


# For the package, not the session: Playwright's own event loop would be in the way of other tests' loops.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "Chromium is not installed: apt-get install chromium"
    expect.set_options(timeout=HANG_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> Iterator[LiveDemo]:
    """It need not migrate: its database begins as a copy of the tests' own."""
    var = tmp_path_factory.mktemp("demo")
    migrated.copy_to(var / "demo.sqlite3")
    running = LiveDemo(var)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="package")
def signed_in(browser: Browser, demo: LiveDemo) -> Path:
    """A file with the administrator's session, so that each test need not sign in anew."""
    context = browser.new_context()
    context.set_default_timeout(HANG_MS)
    page = context.new_page()
    Visitor(page, demo.url).sign_in(*demo.sign_in)
    file = demo.var / "session.json"
    context.storage_state(path=file)
    context.close()
    return file


def fresh(browser: Browser, signed_in: Path) -> BrowserContext:
    context = browser.new_context(storage_state=signed_in, viewport=VIEWPORT)
    context.set_default_timeout(HANG_MS)
    return context


@pytest.fixture(scope="package")
def shared_context(browser: Browser, signed_in: Path) -> Iterator[BrowserContext]:
    context = fresh(browser, signed_in)
    yield context
    context.close()


@pytest.fixture(scope="package")
def shared_tab(shared_context: BrowserContext, demo: LiveDemo) -> Visitor:
    return Visitor(shared_context.new_page(), demo.url)


@pytest.fixture
def visitor(shared_tab: Visitor, shared_context: BrowserContext, signed_in: Path) -> Iterator[Visitor]:
    """A signed-in person whose console has to stay silent: no error, no breach of the content security policy.

    The tab is the tests' only one and begins each test as a new one would. A ``newcomer`` has one of their own.
    """
    if shared_tab.page.is_closed():  # a test before broke it
        shared_tab.take(shared_context.new_page())
    page = shared_tab.page
    page.context.clear_cookies()
    page.context.add_cookies(json.loads(signed_in.read_text())["cookies"])
    page.set_viewport_size(VIEWPORT)
    page.emulate_media(media="null", color_scheme="null", reduced_motion="null")
    try:
        yield shared_tab
        assert shared_tab.complaints == []
    finally:
        shared_tab.leave()


FORGET = """
from importlib import import_module
from django.conf import settings
from django.contrib.sessions.models import Session
from quota_platform.base.preferences import hold
from tenants.models import Preferences
Preferences.objects.all().delete()
store = import_module(settings.SESSION_ENGINE).SessionStore
for each in Session.objects.all():
    session = store(each.session_key)
    hold(session, {})
    session.save()
"""


@pytest.fixture
def _choices_are_forgotten(demo: LiveDemo) -> Iterator[None]:
    """For a test that chooses a language or a time zone: the account keeps it, and all tests share the account."""
    yield
    demo.shell.run(FORGET)


@pytest.fixture
def newcomer(browser: Browser, signed_in: Path, demo: LiveDemo) -> Iterator[Visitor]:
    """The same person at a browser just opened, for a test that meddles with its clock or its connections."""
    context = fresh(browser, signed_in)
    visitor = Visitor(context.new_page(), demo.url)
    yield visitor
    assert visitor.complaints == []
    context.close()
