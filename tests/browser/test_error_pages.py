"""The pages of errors as a person meets them in a browser: in the platform's words and look, with a way on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.live_demo import LiveDemo
from tests.browser.visit import Visitor
from tests.patience import HANG_MS

LIST = "/admin/limiter/multiplierchange/"
SQL = "from django.db import connection; connection.cursor().execute({!r})"
HIDE = "ALTER TABLE limiter_multiplierchange RENAME TO hidden_for_a_test"
SHOW = "ALTER TABLE hidden_for_a_test RENAME TO limiter_multiplierchange"
UNREADABLE = """
from datetime import timedelta
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from limiter.models import Export
now = timezone.now()
span = dict(since=now - timedelta(hours=1), until=now)
row = Export.objects.create(kind="events", format="jsonl", requested_by=User.objects.get(username="admin"), **span)
connection.cursor().execute("UPDATE limiter_export SET id = 'no id' WHERE id = %s", [row.pk.hex])
"""
FORGET = SQL.format("DELETE FROM limiter_export WHERE id = 'no id'")
ADD_PERSON = (
    "from django.contrib.auth.models import User as U; U.objects.create_user('erin', password='erins-password')"
)


@pytest.fixture
def _a_row_that_cannot_be_read(demo: LiveDemo) -> Iterator[None]:
    demo.shell.run(UNREADABLE)
    yield
    demo.shell.run(FORGET)


@pytest.fixture
def _a_database_that_fails(demo: LiveDemo) -> Iterator[None]:
    demo.shell.run(SQL.format(HIDE))
    yield
    demo.shell.run(SQL.format(SHOW))


def assert_is_ours(visitor: Visitor, *, status: int, heading: str) -> None:
    """The page that is open has our words, our mark, a main part, ways on, and nothing wrong but its status."""
    page = visitor.page
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    expect(page.get_by_role("main")).to_contain_text(str(status))
    expect(page.get_by_role("banner").get_by_role("link", name="Quota")).to_be_visible()
    assert page.title() == f"{heading} \N{MIDDLE DOT} Quota"
    assert visitor.barriers_in_both_themes() == []
    assert [said for said in visitor.complaints if f"status of {status}" not in said] == []
    visitor.complaints.clear()  # Chromium reports the status as an error
    page.get_by_role("link", name="To the overview").click()
    expect(page).to_have_url(f"{visitor.url}/dashboard/")


@pytest.mark.parametrize("path", ["/no/such/page/", "/dashboard/no/", "/admin/no/", "/accounts/no/"])
def test_an_address_that_leads_nowhere(visitor: Visitor, path: str) -> None:
    visitor.open(path)
    assert_is_ours(visitor, status=404, heading="There is no such page")


def test_a_page_that_a_person_may_not_see(browser: Browser, demo: LiveDemo) -> None:
    demo.shell.run(ADD_PERSON)
    context = browser.new_context()
    context.set_default_timeout(HANG_MS)
    visitor = Visitor(context.new_page(), demo.url)
    visitor.sign_in("erin", "erins-password")
    visitor.complaints.clear()  # of the overview, which is closed to them too
    visitor.open("/admin/")
    assert_is_ours(visitor, status=403, heading="You may not see this page")
    context.close()


def test_a_form_whose_cookie_is_gone(visitor: Visitor) -> None:
    visitor.open("/accounts/")
    visitor.page.context.clear_cookies(name="csrftoken")
    visitor.page.get_by_role("button", name="Save").click()
    assert_is_ours(visitor, status=403, heading="This form has expired")


@pytest.mark.usefixtures("_a_row_that_cannot_be_read")
def test_a_fault_of_the_platform_names_its_place_in_the_log(visitor: Visitor, demo: LiveDemo) -> None:
    visitor.open("/admin/limiter/export/")
    reference = visitor.page.get_by_role("main").locator("code").inner_text()
    assert f"request {reference} on /admin/limiter/export/ failed" in (demo.var / "web.log").read_text()
    assert "Traceback" not in visitor.page.content()
    assert_is_ours(visitor, status=500, heading="Something failed on our side")


@pytest.mark.usefixtures("_a_database_that_fails")
def test_a_database_that_fails(visitor: Visitor) -> None:
    visitor.open(LIST)
    assert_is_ours(visitor, status=503, heading="This page is unavailable for the moment")


def test_a_sign_in_that_is_paused(browser: Browser, demo: LiveDemo) -> None:
    context = browser.new_context()
    context.set_default_timeout(HANG_MS)
    visitor = Visitor(context.new_page(), demo.url)
    for _ in range(5):
        visitor.open("/accounts/sign-in/")
        visitor.page.get_by_label("User name").fill("nobody-of-this-name")
        visitor.page.get_by_label("Password").fill("wrong")
        visitor.page.get_by_role("button", name="Sign in").click()
        visitor.page.get_by_role("alert").wait_for()
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Sign-in is paused")
    assert visitor.barriers_in_both_themes() == []
    context.close()
