"""The first page of the admin names problems with links, and to each person only those of rows they may view."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from limiter import clients
from limiter.core import keys
from limiter.models import AlertDelivery, AlertHook, Override, QuotaLimit, QuotaPolicy
from limiter.record import runs
from limiter.upstream import health
from limiter.upstream.health import ConnectionFault
from quota_platform.base import features
from quota_platform.base.attention import MAX_NAMED, Notice
from tenants.models import ApiKey, ApiToken, Connection, Tenant
from tests.people import member

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]


def ran(task: str, *, seconds_ago: float, **fields: object) -> None:
    run = {"at": time.time() - seconds_ago, "ok": True, "took_ms": 1.0, **fields}
    with clients.client() as client:
        client.hset(keys.tasks(), task, json.dumps({"v": runs.FORM.writes, **run}))


@pytest.fixture(autouse=True)
def celery_runs(redis_url: str) -> None:
    """Some task has run a moment ago."""
    ran("publish_edits", seconds_ago=1)


@pytest.fixture
def of_globex(globex: Tenant) -> User:
    """The stranger, with every right at Globex."""
    return member("gil", globex)


def notices(person: User) -> list[Notice]:
    sources = [feature.attention for feature in features.installed() if feature.attention]
    return [notice for source in sources for notice in source(person)]


def key(tenant: Tenant, *, days: float, name: str = "IVR") -> ApiKey:
    return ApiKey.objects.issue(name=name, tenant=tenant, expires_at=timezone.now() + timedelta(days=days))[0]


def hook(tenant: Tenant, **fields: object) -> AlertHook:
    row = AlertHook(name="On-call", tenant=tenant, url="https://hooks.example.com/quota")
    row.renew_secret()
    row.save()
    AlertHook.objects.filter(pk=row.pk).update(**fields)
    return row


def override(tenant: Tenant, *, hours: float) -> Override:
    end = timezone.now() + timedelta(hours=hours)
    return Override.objects.create(tenant=tenant, effect="factor", factor=2, ends_at=end, reason="campaign")


def broken_policy() -> QuotaPolicy:
    policy = QuotaPolicy.objects.create(name="Gold")
    QuotaLimit.objects.create(policy=policy, name="minute", quota=100, window_seconds=60)
    QuotaPolicy.objects.filter(pk=policy.pk).update(store_failure="panic")
    return policy


def test_nothing_needs_attention_on_a_platform_that_works(
    admin_user: User, of_globex: User, acme: Tenant, base_policy: QuotaPolicy
) -> None:
    key(acme, days=60)
    key(acme, days=-60)
    key(acme, days=3).revoke()
    override(acme, hours=48)
    hook(acme)
    assert notices(admin_user) == notices(of_globex) == []


def test_keys_and_tokens_are_named_before_and_after_their_end_the_next_to_end_first(
    admin_user: User, acme: Tenant
) -> None:
    later, gone = key(acme, days=9, name="Web"), key(acme, days=-1)
    end = timezone.now() + timedelta(days=2)
    token = ApiToken.objects.issue(user=admin_user, name="nightly", expires_at=end)[0]
    found = notices(admin_user)
    assert [(each.text.rpartition(" on ")[0], each.urgent) for each in found] == [
        (f"{gone} expired", True),
        (f"{later} expires", False),
        (f"{token} expires", False),
    ]
    assert found[0].url == f"/admin/tenants/apikey/{gone.pk}/change/"


def test_of_many_keys_the_first_are_named_and_the_rest_counted(admin_user: User, acme: Tenant) -> None:
    for number in range(MAX_NAMED + 3):
        key(acme, days=1, name=f"Key {number}")
    *named, rest = notices(admin_user)
    assert len(named) == MAX_NAMED
    assert rest == Notice("3 more expire within two weeks.", "/admin/tenants/apikey/")


def test_an_override_that_ends_within_a_day_is_named_with_its_reason(admin_user: User, acme: Tenant) -> None:
    row = override(acme, hours=5)
    (found,) = notices(admin_user)
    assert found.text == f"The override of {acme} ends on {row.ends_at:%Y-%m-%d %H:%M} UTC: campaign"
    assert (found.url, found.urgent) == (f"/admin/limiter/override/{row.pk}/change/", False)


def test_a_policy_that_cannot_compile_is_named_with_the_field(admin_user: User) -> None:
    row = broken_policy()
    (found,) = notices(admin_user)
    assert "Gold" in found.text and found.url == f"/admin/limiter/quotapolicy/{row.pk}/change/" and found.urgent


def test_contact_points_that_fail_or_were_stopped_are_named_and_one_that_was_switched_off_is_not(
    admin_user: User, acme: Tenant
) -> None:
    hook(acme, enabled=False)
    hook(acme, failures=3)
    hook(acme, enabled=False, stopped_because="410 Gone")
    assert [each.text for each in notices(admin_user)] == [
        "The contact point On-call was stopped: 410 Gone",
        "The contact point On-call did not get its last 3 messages.",
    ]


def test_a_contact_point_whose_messages_are_tried_again_is_named_long_before_they_are_given_up(
    admin_user: User, acme: Tenant
) -> None:
    row = hook(acme)
    page = Client()
    page.force_login(admin_user)
    AlertDelivery.objects.create(hook=row, event="alert.started", body="{}", attempts=1)
    AlertDelivery.objects.create(hook=row, event="alert.started", body="{}", attempts=3, state="arrived")
    assert notices(admin_user) == [] and "failing" not in page.get("/admin/limiter/alerthook/").text
    for attempts in (2, 4):
        AlertDelivery.objects.create(hook=row, event="alert.started", body="{}", attempts=attempts)
    (found,) = notices(admin_user)
    assert found.text == "2 messages to the contact point On-call did not arrive; they are tried again."
    assert "failing" in page.get("/admin/limiter/alerthook/").text


def test_a_connection_that_cannot_be_used_is_named_with_the_reason(admin_user: User, acme: Tenant) -> None:
    unhealthy(acme.connection)
    (found,) = notices(admin_user)
    assert found.text == "The connection sandbox cannot be used: the token was refused"
    assert found.url == f"/admin/tenants/connection/{acme.connection.pk}/change/"


def unhealthy(row: Connection) -> None:
    fault = ConnectionFault("the token was refused", time.time(), time.time() + 60, 1, True, "0")
    with clients.shared_client() as client:
        client.set(keys.health(str(row.uid)), health.dump(fault))


def test_tasks_that_stand_still_or_fail_are_named_and_those_that_are_due_later_are_not(
    admin_user: User, of_globex: User
) -> None:
    ran("prune", seconds_ago=4000)
    ran("store_events", seconds_ago=600)
    ran("watch_limits", seconds_ago=1, ok=False, error="OperationalError")
    still, failed = (each.text for each in notices(admin_user))
    assert still == "The task 'store events' has not run for 600 s; it is due every 1 s. Is Celery running?"
    assert failed == "The task 'watch limits' failed last: OperationalError"
    assert notices(of_globex) == []


def test_a_platform_on_which_no_task_ever_ran_asks_for_celery(admin_user: User, of_globex: User) -> None:
    with clients.client() as client:
        client.delete(keys.tasks())
    (notice,) = notices(admin_user)
    assert notice.text == "No periodic task has run yet. Are a Celery worker and beat running?" and notice.urgent
    assert notices(of_globex) == []


def test_a_stranger_gets_no_notice_of_acme_and_a_member_only_what_they_may_view(
    of_globex: User, acme: Tenant, globex: Tenant
) -> None:
    key(acme, days=1)
    override(acme, hours=1)
    hook(acme, failures=1)
    other = a_spare()
    Tenant.objects.filter(pk=globex.pk).update(connection=other)
    unhealthy(acme.connection)
    assert notices(of_globex) == []
    key(globex, days=1)
    unhealthy(other)
    assert len(notices(of_globex)) == 2
    assert len(notices(member("gus", globex, without=("view_apikey", "change_apikey")))) == 1


def a_spare() -> Connection:
    row = Connection(name="spare", is_sandbox=True, base_url="http://127.0.0.1:8802", client_id="demo-client")
    row.set_client_secret("canary-client-secret")
    row.save()
    return row


def test_the_first_page_shows_each_notice_with_its_link_and_the_navigation_once(
    client: Client, admin_user: User, acme: Tenant
) -> None:
    client.force_login(admin_user)
    assert "Nothing. Contact points" in client.get("/admin/").text
    row = override(acme, hours=5)
    html = unescape(client.get("/admin/").text)
    assert f'<a href="/admin/limiter/override/{row.pk}/change/">The override of' in html
    assert html.count('href="/admin/limiter/quotapolicy/"') == 1


def test_the_queries_of_the_notices_do_not_grow_with_the_rows(admin_user: User, acme: Tenant) -> None:
    def queries() -> int:
        with CaptureQueriesContext(database) as captured:
            notices(admin_user)
        return len(captured)

    for number in range(MAX_NAMED):
        key(acme, days=1, name=f"{number}")
        override(acme, hours=1)
    few = queries()
    for number in range(20):
        key(acme, days=1, name=f"more {number}")
        override(acme, hours=1)
        hook(acme, failures=1)
    assert queries() == few
