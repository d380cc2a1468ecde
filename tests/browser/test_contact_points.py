"""Contact points as an operator makes them: each gets the alerts of its tenant, from its severity, in its hours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from quota_platform.demo import environment
from tests.browser.live_demo import LiveDemo
from tests.browser.visit import Visitor

LIMIT = 10
TENANT = """
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from tenants.models import Action, ApiKey, Tenant
acme = Tenant.objects.get(tenant_id="acme")
stark = Tenant.objects.create(tenant_id="stark", name="Stark", connection=acme.connection)
action = acme.actions.get(action_id="createCase")
action.pk, action.tenant = None, stark
action.save()
plan = QuotaPolicy.objects.create(name="Stark plan")
QuotaLimit.objects.create(policy=plan, name="minute", quota={limit}, window_seconds=3600, adaptive=False)
Assignment.objects.create(policy=plan, target="tenant", tenant=stark)
print(ApiKey.objects.issue(name="Stark", tenant=stark)[1])
"""
SENT = """
from limiter.alerts import posting, watch
from limiter.models import Alert
from tests.patience import until
def reached():
    watch.watch()
    return Alert.objects.filter(tenant_id="stark", threshold={threshold}).exists()
until(reached, what="the alert")
posting.hand_out(posting.post)
"""
GONE = """
from limiter.models import Alert, AlertHook, QuotaPolicy
from tenants.models import Tenant
AlertHook.objects.filter(name__startswith="Stark").delete()
stark = Tenant.objects.get(tenant_id="stark")
stark.assignments.all().delete()
QuotaPolicy.objects.filter(name="Stark plan").delete()
stark.api_keys.all().delete()
stark.actions.all().delete()
stark.delete()
Alert.objects.filter(tenant_id="stark").delete()
"""


@pytest.fixture
def key(demo: LiveDemo) -> Iterator[str]:
    """Of a tenant with a limit of its own."""
    yield demo.shell.run(TENANT.format(limit=LIMIT)).split()[-1]
    demo.shell.run(GONE)


def add(visitor: Visitor, name: str, url: str, *, tenant: str, **choices: str) -> None:
    page = visitor.page
    visitor.open("/admin/limiter/alerthook/add/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("URL").fill(url)
    page.locator(".field-tenant .select2-selection").click()
    page.locator(".select2-search__field").fill(tenant)
    page.locator(".select2-results__option").filter(has_text=tenant).first.click()
    for field, choice in choices.items():
        of = page.locator(f"#id_{field}")
        if of.evaluate("each => each.tagName") == "SELECT":
            of.select_option(label=choice)
        else:
            of.fill(choice)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("main")).to_contain_text("whsec_")


def received(visitor: Visitor) -> list[str]:
    """The contact points of the test, once for each delivery, as the list of deliveries has it."""
    visitor.open("/admin/limiter/alertdelivery/?q=stark")
    rows = visitor.page.locator("#result_list tbody tr").all()
    names = [(row.locator(".field-hook").inner_text(), row.locator(".field-status_word").inner_text()) for row in rows]
    return sorted(f"{name} {state.lower()}" for name, state in names if name.startswith("Stark"))


def test_alerts_go_where_tenant_severity_and_hours_say(visitor: Visitor, demo: LiveDemo, key: str) -> None:
    url, now = environment.sink_url(demo.variables), datetime.now(UTC)
    later = {f"active_{end}": f"{now + timedelta(hours=hours):%H}:00:00" for end, hours in (("from", 6), ("until", 9))}
    add(visitor, "Stark all", url, tenant="Stark")
    add(visitor, "Stark worst", url, tenant="Stark", from_severity="critical")
    add(visitor, "Stark nights", url, tenant="Stark", **later)
    add(visitor, "Stark of Globex", url, tenant="Globex")
    assert all(demo.call_with(key, "createCase") == 200 for _ in range(LIMIT * 8 // 10))
    demo.shell.run(SENT.format(threshold=80))
    assert received(visitor) == ["Stark all arrived"]
    demo.until(429, key, "createCase")
    demo.shell.run(SENT.format(threshold=100))
    assert received(visitor) == [*["Stark all arrived"] * 3, "Stark worst arrived"]
    visitor.open("/admin/limiter/alerthook/?q=Stark+worst")
    visitor.page.locator("#result_list").get_by_role("link", name="Stark worst").click()
    visitor.page.get_by_role("button", name=re.compile("[Tt]est")).click()
    expect(visitor.page.get_by_text("The test arrived: the response was 204.")).to_be_visible()
