"""Tenants of which nothing is refused, each said as it is: suspended, without actions, or without calls."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.live_demo import LiveDemo
from tests.browser.visit import Visitor

CALM = """
from tenants.models import Action, Connection, Tenant
unit = Connection.objects.get(name="sandbox")
Tenant.objects.create(tenant_id="umbrella", name="Umbrella", connection=unit)
wayne = Tenant.objects.create(tenant_id="wayne", name="Wayne", connection=unit)
Action.objects.create(tenant=wayne, action_id="lookupOrder")
"""
GONE = """
from tenants.models import Tenant
for each in Tenant.objects.filter(tenant_id__in=["umbrella", "wayne"]):
    each.actions.all().delete()
    each.delete()
"""


@pytest.fixture
def _calm(demo: LiveDemo) -> Iterator[None]:
    demo.shell.run(CALM)
    yield
    demo.shell.run(GONE)


def said(page: Page, *, sentence: str, in_force: str, now: str) -> None:
    expect(page.locator("#sentence")).to_contain_text(sentence)
    expect(page.locator("#in-force")).to_contain_text(in_force)
    expect(page.locator("#empty")).to_have_text(now)
    expect(page.locator("#feed")).to_have_text("Nothing was refused in the last 15 minutes.")


def test_a_suspended_tenant_is_said_to_get_a_403_for_each_call(visitor: Visitor, demo: LiveDemo) -> None:
    assert demo.call("lookupInvoice", tenant_id="initech") == [403]
    visitor.open("/dashboard/tenants/initech/")
    why = "None while it is suspended: every call gets a 403."
    said(visitor.page, sentence="is suspended: all its calls get a 403", in_force=why, now=why)
    assert visitor.barriers() == []


@pytest.mark.usefixtures("_calm")
def test_a_tenant_without_actions_can_call_nothing(visitor: Visitor) -> None:
    visitor.open("/dashboard/tenants/umbrella/")
    why = "None: it has no action that is switched on."
    said(visitor.page, sentence="has no action that is switched on, so it can call nothing", in_force=why, now=why)


@pytest.mark.usefixtures("_calm")
def test_a_policy_applies_before_any_call_came(visitor: Visitor) -> None:
    visitor.open("/dashboard/tenants/wayne/")
    said(
        visitor.page,
        sentence="made no call in the last 15 minutes; 1 limit applies",
        in_force="minute 100 / 60 s",
        now="No calls lately. Limits appear here with the next call.",
    )
    expect(visitor.page.get_by_role("combobox", name="Shown")).to_have_value("lookupOrder|minute")
    expect(visitor.page.locator("#usage-legend .key").filter(has_text="Effective limit")).to_have_text(
        "Effective limit100"
    )
