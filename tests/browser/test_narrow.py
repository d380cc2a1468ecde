"""On a telephone no page is wider than the screen, and its menu is reached with the keyboard as well."""

from __future__ import annotations

import pytest
from playwright.sync_api import ViewportSize, expect

from tests.browser.live_demo import LiveDemo
from tests.browser.visit import Visitor

PHONE: ViewportSize = {"width": 390, "height": 844}
DELIVERY = """
from limiter.models import AlertDelivery, AlertHook
hook = AlertHook.objects.first()
AlertDelivery.objects.create(hook=hook, tenant_id="a-tenant-with-a-long-name", event="alert.test", body="{}")
print(hook.pk)
"""


@pytest.fixture
def phone(visitor: Visitor) -> Visitor:
    visitor.page.set_viewport_size(PHONE)
    return visitor


def test_a_hash_of_the_record_wraps(phone: Visitor, demo: LiveDemo) -> None:
    entry = int(demo.shell.run("from limiter.models import AuditEntry; print(AuditEntry.objects.first().pk)"))
    phone.open(f"/admin/limiter/auditentry/{entry}/change/")
    expect(phone.page.get_by_text("Previous hash", exact=True)).to_be_visible()
    assert not phone.scrolls_sideways()


def test_the_deliveries_of_a_contact_point_scroll_by_themselves(phone: Visitor, demo: LiveDemo) -> None:
    hook = int(demo.shell.run(DELIVERY))
    phone.open(f"/admin/limiter/alerthook/{hook}/change/")
    expect(phone.page.get_by_text("Latest messages")).to_be_visible()
    assert not phone.scrolls_sideways()
    assert phone.barriers(["scrollable-region-focusable", "aria-allowed-attr"]) == []


def test_a_form_is_named_in_full(phone: Visitor) -> None:
    phone.open("/admin/limiter/quotapolicy/")
    phone.page.get_by_role("link", name="Base", exact=True).click()
    links = phone.page.locator("#header-inner h1 a").filter(visible=True)
    expect(links).to_have_text(["Base"])
    assert links.evaluate("(link) => link.scrollWidth <= link.clientWidth")


def test_the_menu_of_the_admin_opens_and_closes_with_the_keyboard(phone: Visitor) -> None:
    page = phone.page
    phone.open("/admin/")
    menu = page.get_by_role("button", name="Menu", exact=True)
    menu.focus()
    page.keyboard.press("Enter")
    expect(menu).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_role("button", name="Close the menu")).to_be_focused()
    expect(page.get_by_role("link", name="Policies", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Policies", exact=True)).to_be_hidden()


def test_a_list_of_permissions_mentions_hidden_rows_only_while_there_are_some(phone: Visitor) -> None:
    page = phone.page
    phone.open("/admin/auth/group/")
    page.get_by_role("link", name="Supervisor", exact=True).click()
    expect(page.locator("#id_permissions_to option").first).to_be_attached()
    line = page.get_by_text("(click to clear)")
    expect(line).to_be_hidden()
    page.locator("#id_permissions_selected_input").press_sequentially("zzz")
    expect(line).to_be_visible()


def test_the_table_of_connections_breaks_no_word_in_two(phone: Visitor) -> None:
    phone.open("/dashboard/connections/")
    name = phone.page.locator("tbody th a").first
    box, size = name.bounding_box(), name.evaluate("(link) => parseFloat(getComputedStyle(link).fontSize)")
    assert box is not None and box["height"] < 2 * size
    assert not phone.scrolls_sideways()
