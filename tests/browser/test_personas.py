"""A day of each kind of person, on the real platform in the browser.

Where each of them meets each part of the platform (live pages; alerts and incidents; accounts; export and print):

- supervisor: test_stories, test_overview_page, test_charts; test_notices and the incident of test_stories;
  test_second_factor; test_paper_and_wall.
- policy editor: test_admin (live on all workers); the rest here and in test_admin_barriers.
- auditor: test_barriers (a stored refusal); the rest here.
- operator: test_admin (the first page), test_saml; the rest here.
- developer at a tenant: all of it here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from quota_platform.demo import tokens
from tests.browser.conftest import VIEWPORT
from tests.browser.live_demo import LiveDemo
from tests.browser.visit import Visitor
from tests.patience import HANG_MS

PASSWORD = "a-long-test-password"
PERSON = """
from django.contrib.auth.models import Group, Permission, User
from tenants.models import Membership, Tenant
person = User.objects.create_user("{name}", email="{name}@example.com", password="{password}", is_staff={staff})
person.groups.set(Group.objects.filter(name="{group}"))
if {every}:
    person.user_permissions.add(Permission.objects.get(codename="see_every_tenant"))
else:
    Membership.objects.create(user=person, tenant=Tenant.objects.get(tenant_id="acme"))
"""
USED = """
import time
from limiter.demand import blocks
from limiter.demand.points import Demand, Level
minute = int(time.time()) // 60 * 60 - 3600
blocks.add(minute, 60, {"acme": Demand({}, {("lookupOrder", "minute"): {minute + 7: Level(90, 100, 100)}})})
"""
FAILING = """
from limiter.models import AlertHook
hook = AlertHook(name="On-call", url="https://hooks.example.invalid/quota", failures=2)
hook.renew_secret()
hook.save()
"""
SignIn = Callable[..., Page]


@pytest.fixture
def as_person(browser: Browser, demo: LiveDemo) -> Iterator[SignIn]:
    """Make a person and sign them in at a browser of their own."""
    context = browser.new_context(viewport=VIEWPORT)
    context.set_default_timeout(HANG_MS)

    def sign_in(name: str, group: str, *, staff: bool = True, every: bool = False) -> Page:
        demo.shell.run(PERSON.format(name=name, password=PASSWORD, group=group, staff=staff, every=every))
        page = context.new_page()
        Visitor(page, demo.url).sign_in(name, PASSWORD)
        return page

    yield sign_in
    context.close()


@pytest.fixture
def _base_stays_as_it_was(demo: LiveDemo) -> Iterator[None]:
    yield
    demo.shell.run(
        "from limiter.models import QuotaLimit; line = QuotaLimit.objects.get(policy__name='Base');"
        " line.quota = 100; line.save()"
    )


@pytest.mark.usefixtures("_base_stays_as_it_was")
def test_a_policy_editor_is_asked_before_a_cut_and_reads_where_it_is_live(as_person: SignIn, demo: LiveDemo) -> None:
    demo.shell.run(USED)
    page = as_person("edith", "Policy editor", every=True)
    page.goto(f"{demo.url}/admin/limiter/quotapolicy/add/")
    expect(page.locator("#id_alert_at")).to_have_value("80, 95, 100")
    page.goto(f"{demo.url}/admin/limiter/quotapolicy/")
    page.locator("#result_list").get_by_role("link", name="Base", exact=True).click()
    page.locator("#id_limits-0-quota").fill("60 per minute")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("main")).to_contain_text("lookupOrder (90)")
    page.get_by_label("Cut them nevertheless").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text(re.compile(r"^Live on \d of \d workers after"))).to_be_visible()
    page.locator("#result_list").get_by_role("link", name="Base", exact=True).click()
    page.get_by_role("link", name="History").click()
    page.locator("main tbody tr").last.get_by_role("link").first.click()
    expect(page.locator("main")).to_contain_text("Putting it back would change")
    page.goto(f"{demo.url}/admin/auth/user/")
    expect(page.get_by_role("heading", level=1)).to_have_text("You may not see this page")


def test_an_auditor_reads_the_record_and_orders_last_month(as_person: SignIn, demo: LiveDemo) -> None:
    demo.refuse("lookupOrder")
    demo.follow_refusals()
    page = as_person("aud", "Auditor")
    page.goto(f"{demo.url}/admin/limiter/throttleevent/")
    page.locator("#result_list a").first.click()
    expect(page.locator("main")).to_contain_text("This call was refused")
    assert "{" not in page.locator("main").inner_text()
    page.goto(f"{demo.url}/admin/limiter/auditentry/")
    expect(page.get_by_role("link", name=re.compile("Add"))).to_have_count(0)
    page.goto(f"{demo.url}/admin/limiter/quotapolicy/")
    page.locator("#result_list").get_by_role("link", name="Base", exact=True).click()
    expect(page.get_by_role("button", name="Save", exact=True)).to_have_count(0)
    page.goto(f"{demo.url}/admin/limiter/export/add/")
    page.get_by_label("Period", exact=True).select_option(label="last month")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    page.goto(f"{demo.url}/dashboard/exports/")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    page.goto(f"{demo.url}/dashboard/incidents/")
    expect(page.locator("main")).to_contain_text("Acme")


def test_an_operator_finds_what_needs_attention_and_adds_a_person(newcomer: Visitor, demo: LiveDemo) -> None:
    demo.shell.run(FAILING)
    page = newcomer.page
    newcomer.open("/admin/limiter/alerthook/?q=On-call")
    expect(page.locator("#result_list tbody tr .field-state")).to_have_text("failing")
    newcomer.open("/admin/")
    page.locator("main").get_by_role("link", name=re.compile("On-call")).first.click()
    expect(page.get_by_role("button", name=re.compile("[Tt]est")).first).to_be_visible()
    newcomer.open("/admin/auth/user/add/")
    page.get_by_label("User name").fill("new.person")
    page.get_by_label("Mail address").fill("new.person@example.com")
    page.get_by_label("Give none").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("main")).to_contain_text("None is set.")
    expect(page.get_by_role("button", name="Send a link to set a password")).to_be_visible()
    page.get_by_label("Opens the admin").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#result_list").get_by_role("link", name="new.person")).to_be_visible()


def test_a_developer_of_a_tenant_sees_it_alone_and_explains_a_refusal(as_person: SignIn, demo: LiveDemo) -> None:
    demo.refuse("lookupOrder")
    demo.follow_refusals()
    page = as_person("dev", "Supervisor", staff=False)
    page.goto(f"{demo.url}/dashboard/tenants/")
    expect(page.locator("tbody th")).to_have_text(["Acme Retail"])
    page.goto(f"{demo.url}/dashboard/tenants/globex/")
    expect(page.get_by_role("heading", level=1)).to_have_text("You may not see this page")
    page.goto(f"{demo.url}/dashboard/refusals/?action=lookupOrder")
    page.locator("details.event summary").first.click()
    facts = page.locator("details.event").first.locator("dl")
    expect(facts).to_contain_text("This call was refused")
    decision = facts.locator("dt:text-is('Decision') + dd").inner_text()
    held = tokens.read(demo.var)
    statuses = {name: _explained(page, demo, decision, held[name]) for name in ("acme", "globex")}
    assert statuses == {"acme": 200, "globex": 404}
    page.goto(f"{demo.url}/dashboard/incidents/")
    expect(page.locator("main")).to_contain_text("Acme Retail")
    page.goto(f"{demo.url}/admin/")
    expect(page.locator("#user-tools, .q-panel")).to_have_count(0)
    page.goto(f"{demo.url}/api/docs/")
    expect(page.locator("body")).to_contain_text("/invoke/")


def _explained(page: Page, demo: LiveDemo, decision: str, token: str) -> int:
    response = page.request.get(f"{demo.url}/decisions/{decision}", headers={"Authorization": f"Bearer {token}"})
    assert response.status != 200 or "sentence" in json.dumps(response.json())
    return response.status


def test_a_person_without_a_tenant_learns_on_the_overview_who_can_give_one(as_person: SignIn, demo: LiveDemo) -> None:
    page = as_person("nina", "Auditor")
    demo.shell.run("from tenants.models import Membership; Membership.objects.filter(user__username='nina').delete()")
    page.goto(f"{demo.url}/dashboard/")
    expect(page.get_by_role("heading", name="No tenant yet")).to_be_visible()
    expect(page.get_by_text("Ask an administrator for a membership.")).to_be_visible()
    expect(page.locator("#empty code")).to_have_count(0)
