"""Stories on the real platform: calls that appear, refusals in the feed, a server that comes back, edits that show."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import redis
from playwright.sync_api import Browser, BrowserContext, expect

from dashboard.seats import MAX_PER_PERSON
from limiter.core import keys
from tests.browser.live_demo import LiveDemo
from tests.browser.visit import Visitor
from tests.patience import HANG_MS

ROW = "#table tbody tr"
WATCHED = """
from limiter.alerts import watch
from limiter.alerts.models import Alert
from tests.patience import until

def there():
    watch.watch()
    return Alert.objects.filter(action_id="createCase", ended_at=None).count() == {alerts}

until(there, what="{alerts} alerts of createCase")
"""


@pytest.fixture
def visitor(shared_context: BrowserContext, demo: LiveDemo) -> Iterator[Visitor]:
    """In a tab of their own, whose websockets no test has ever taken over."""
    visitor = Visitor(shared_context.new_page(), demo.url)
    yield visitor
    assert visitor.complaints == []
    visitor.leave()
    visitor.page.close()


def test_a_supervisor_signs_in_and_sees_every_demo_tenant(browser: Browser, demo: LiveDemo) -> None:
    context = browser.new_context()
    context.set_default_timeout(HANG_MS)
    visitor = Visitor(context.new_page(), demo.url)
    visitor.sign_in(*demo.supervisor_sign_in)
    visitor.page.get_by_role("navigation").get_by_role("link", name="Tenants").click()
    expect(visitor.page.get_by_role("link", name="Globex Travel")).to_be_visible()
    assert visitor.complaints == []
    context.close()


def test_a_call_appears_while_the_page_is_open(visitor: Visitor, demo: LiveDemo) -> None:
    visitor.open("/dashboard/")
    expect(visitor.page.locator("#live-word")).to_have_text("Live")
    demo.call("createCase")
    row = visitor.page.locator(ROW).filter(has_text="createCase").filter(has_text="Acme")
    expect(row).to_contain_text("1 / 100")


def test_a_refusal_appears_in_the_feed_and_turns_the_sentence(visitor: Visitor, demo: LiveDemo) -> None:
    visitor.open("/dashboard/")
    demo.refuse("lookupOrder")
    feed = visitor.page.get_by_role("log")
    expect(feed).to_contain_text("Acme Retail · lookupOrder")
    expect(visitor.page.get_by_role("heading", level=1)).to_contain_text("Calls of 1 tenant are being refused: ")
    expect(visitor.page).to_have_title(re.compile(r"^\(1\) Refusing"))
    visitor.open("/dashboard/tenants/acme/")
    visitor.page.get_by_role("button", name="15 m", exact=True).click()
    expect(visitor.page.locator("#chart-summary")).to_contain_text("Usage over the last 15 minutes")


def test_where_websockets_are_blocked_the_real_numbers_are_polled(visitor: Visitor, demo: LiveDemo) -> None:
    demo.call("scheduleCallback")
    visitor.page.route_web_socket(re.compile("/ws/"), lambda socket: socket.close(code=1008))
    visitor.open("/dashboard/")
    expect(visitor.page.locator("#live-word")).to_have_text("Live, by polling")
    expect(visitor.page.locator(ROW).filter(has_text="scheduleCallback")).to_be_visible()


def test_an_increase_is_confirmed_done_shown_and_taken_back(visitor: Visitor, demo: LiveDemo) -> None:
    demo.call("scheduleCallback")
    visitor.open("/dashboard/tenants/acme/")
    row = visitor.page.locator(ROW).filter(has_text="scheduleCallback")
    expect(row).to_contain_text("/ 100")
    visitor.page.get_by_role("button", name="Increase for a while").click()
    dialog = visitor.page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("Launch day")
    expect(dialog.get_by_role("status")).to_contain_text("every limit is multiplied by 2 for 15 minutes")
    assert visitor.barriers() == []
    dialog.get_by_role("button", name="Confirm").click()
    expect(row).to_contain_text("/ 200")
    visitor.page.get_by_role("button", name="Take it back").click()
    expect(row).to_contain_text("/ 100")


def test_an_increase_ends_by_itself(visitor: Visitor, demo: LiveDemo) -> None:
    demo.call("scheduleCallback")
    visitor.open("/dashboard/tenants/acme/")
    row = visitor.page.locator(ROW).filter(has_text="scheduleCallback")
    visitor.page.get_by_role("button", name="Increase for a while").click()
    dialog = visitor.page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("Launch day")
    dialog.get_by_role("button", name="Confirm").click()
    expect(row).to_contain_text("/ 200")
    soon = (
        "from datetime import timedelta; from django.utils import timezone; from limiter.models import Override;"
        " o = Override.objects.latest('pk'); o.ends_at = timezone.now() + timedelta(seconds=3); o.save()"
    )
    demo.shell.run(soon)
    expect(row).to_contain_text("/ 100")


def test_a_counter_is_reset_with_a_word_of_what_will_happen(visitor: Visitor, demo: LiveDemo) -> None:
    demo.call("changeBooking", tenant_id="globex", calls=3)
    visitor.open("/dashboard/tenants/globex/")
    row = visitor.page.locator(ROW).filter(has_text="changeBooking")
    expect(row).to_contain_text("3 / 600")
    visitor.page.get_by_role("button", name="Reset a counter").click()
    dialog = visitor.page.get_by_role("dialog")
    dialog.get_by_label("Counter").select_option("minute, changeBooking")
    expect(dialog.get_by_label("Counter")).not_to_contain_text("inflight")
    dialog.get_by_label("Reason").fill("Their test ran wild")
    expect(dialog.get_by_role("status")).to_contain_text("forgets the 3 of 600 units")
    assert visitor.barriers() == []
    dialog.get_by_role("button", name="Confirm").click()
    expect(visitor.page.locator("#done")).to_contain_text("starts from zero again")
    expect(visitor.page.get_by_role("button", name="Take it back")).to_have_count(0)
    expect(row).to_contain_text("0 / 600")


def test_a_key_is_revoked_and_its_calls_are_refused(visitor: Visitor, demo: LiveDemo) -> None:
    issue = (
        "from tenants.models import ApiKey, Tenant;"
        " print(ApiKey.objects.issue(name='Leaked', tenant=Tenant.objects.get(tenant_id='acme'))[1])"
    )
    token = demo.shell.run(issue).split()[-1]
    assert demo.call_with(token, "createCase") == 200
    visitor.open("/dashboard/tenants/acme/")
    visitor.page.get_by_role("button", name="Revoke a key").click()
    dialog = visitor.page.get_by_role("dialog")
    choice = dialog.get_by_label("Key").locator("option").filter(has_text="Leaked").get_attribute("value")
    dialog.get_by_label("Key").select_option(choice)
    dialog.get_by_label("Reason").fill("Seen in a public log")
    expect(dialog.get_by_role("status")).to_contain_text("You cannot take this back.")
    assert visitor.barriers() == []
    dialog.get_by_role("button", name="Confirm").click()
    expect(visitor.page.locator("#done")).to_contain_text("is revoked")
    demo.until(401, token, "createCase")
    visitor.page.get_by_role("button", name="Revoke a key").click()
    expect(dialog.get_by_label("Key").locator("option").filter(has_text="Leaked")).to_have_count(0)


def test_a_policy_edited_elsewhere_shows(visitor: Visitor, demo: LiveDemo) -> None:
    demo.call("scheduleCallback")
    visitor.open("/dashboard/")
    row = visitor.page.locator(ROW).filter(has_text="scheduleCallback")
    expect(row).to_contain_text("/ 100")
    edit = "from limiter.models import QuotaLimit as L; l = L.objects.get(policy__name='Base'); l.quota = {}; l.save()"
    demo.shell.run(edit.format(150))
    expect(row).to_contain_text("/ 150")
    demo.shell.run(edit.format(100))


def test_after_a_restart_of_the_server_the_page_comes_back_with_the_same_totals(
    visitor: Visitor, demo: LiveDemo
) -> None:
    demo.call("sendSurvey", tenant_id="globex", calls=3)
    visitor.open("/dashboard/")
    row = visitor.page.locator(ROW).filter(has_text="sendSurvey")
    expect(row).to_contain_text("3 / 600")
    demo.stop_web()
    expect(visitor.page.locator("#live-word")).to_have_text("Reconnecting")
    demo.start_web()
    demo.call("sendSurvey", tenant_id="globex")
    expect(visitor.page.locator("#live-word")).to_have_text("Live")
    expect(row).to_contain_text("4 / 600")
    visitor.complaints.clear()  # Chromium reports each try that found no server.


def test_a_person_who_is_switched_off_elsewhere_sees_it_on_the_open_page(browser: Browser, demo: LiveDemo) -> None:
    name, password = "leaving", "a-long-test-password"
    people = "from django.contrib.auth.models import User as U; "
    demo.shell.run(f"{people}U.objects.create_superuser({name!r}, password={password!r})")
    context = browser.new_context()
    context.set_default_timeout(HANG_MS)
    visitor = Visitor(context.new_page(), demo.url)
    opened = []
    visitor.page.on("websocket", lambda socket: opened.append(socket.url))
    visitor.sign_in(name, password)
    expect(visitor.page.locator("#live-word")).to_have_text("Live")
    demo.shell.run(f"{people}u = U.objects.get(username={name!r}); u.is_active = False; u.save()")
    expect(visitor.page.get_by_role("alert")).to_contain_text("Ask an administrator")
    assert len(opened) == 1
    context.close()


def test_one_page_too_many_says_so_and_goes_on_when_another_is_closed(visitor: Visitor, demo: LiveDemo) -> None:
    find = "from django.contrib.auth.models import User as U; print(U.objects.get(username={!r}).pk)"
    person = int(demo.shell.run(find.format(demo.sign_in[0])).split()[-1])
    with redis.Redis.from_url(demo.variables["REDIS_URL"]) as store:
        elsewhere = {f"page-{number}": 2**53 for number in range(MAX_PER_PERSON)}
        store.zadd(keys.seats(person), elsewhere)
        visitor.open("/dashboard/")
        alert = visitor.page.get_by_role("alert")
        expect(alert).to_contain_text("as many live pages open as one person may")
        store.zrem(keys.seats(person), *elsewhere)
    expect(visitor.page.locator("#live-word")).to_have_text("Live")
    expect(alert).to_be_hidden()


def test_a_limit_past_four_fifths_is_an_alert_until_it_is_used_less(visitor: Visitor, demo: LiveDemo) -> None:
    visitor.open("/dashboard/tenants/acme/")
    demo.limit("createCase", 10)
    demo.call("createCase")
    expect(visitor.page.locator(ROW).filter(has_text="10 / 1 h")).to_contain_text("createCase")
    demo.call("createCase", calls=8)
    demo.shell.run(WATCHED.format(alerts=1))
    alerts = visitor.page.locator("#alerts")
    expect(alerts).to_contain_text("createCase \N{MIDDLE DOT} hour has reached 80 %")
    expect(visitor.page).to_have_title(re.compile(r"^\(\d+\) (Alert|Refusing)"))
    assert visitor.barriers() == []
    demo.limit("createCase", 1_000)
    demo.shell.run(WATCHED.format(alerts=0))
    expect(alerts).not_to_contain_text("createCase")


def test_an_incident_is_found_acknowledged_and_handed_over(visitor: Visitor, demo: LiveDemo) -> None:
    demo.limit("createCase", 1)
    demo.call("createCase", calls=3)
    demo.follow_refusals()
    page = visitor.page
    page.goto(f"{demo.url}/dashboard/incidents/?state=open&limit=hour")
    page.locator("summary").filter(has_text="createCase").first.click()
    page.get_by_role("link", name="Open the incident").first.click()
    page.get_by_role("button", name="Acknowledge for the team").click()
    expect(page.get_by_role("button", name="Acknowledge for the team")).to_have_count(0)
    page.get_by_label("Note").fill("Raised until noon.")
    page.get_by_label("To", exact=True).fill(demo.sign_in[0])
    page.get_by_role("button", name="Hand over with this note").click()
    expect(page.locator("main")).to_contain_text(
        f"handed over \N{RIGHTWARDS ARROW} {demo.sign_in[0]}: Raised until noon."
    )
    expect(page.locator("main")).to_contain_text("The limit of policy Hourly createCase")
    assert visitor.barriers() == []
    with page.expect_download() as pdf:
        page.get_by_role("link", name="PDF").click()
    assert pdf.value.suggested_filename.startswith("incident-")
    demo.limit("createCase", 1_000)
