"""What the limiter shows on the pages of tenants, actions and connections: limits in force, requests, a test."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from limiter.core import in_flight, keys
from limiter.core.ends import LearningSettings
from limiter.core.learned import Mode, State
from limiter.core.types import MICROS
from limiter.models import Assignment, Override, QuotaLimit, QuotaPolicy, ThrottleEvent
from limiter.policies.in_force import in_force
from limiter.policies.stored import Unusable
from limiter.record.models.event import UPSTREAM
from limiter.upstream import health
from quota_platform.sandbox import Running, running_in_thread
from tenants.models import Action, Connection, Tenant
from tests.filled_form import as_seen

pytestmark = pytest.mark.django_db
CLIENT_SECRET = "canary-client-secret"


@pytest.fixture
def root(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password=None))
    return client


def staff(*permissions: str) -> Client:
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=[*permissions, "see_every_tenant"]))
    client = Client()
    client.force_login(user)
    return client


def page_of(row: Connection | Action | Tenant) -> str:
    return f"/admin/tenants/{row._meta.model_name}/{row.pk}/change/"


def panel(client: Client, row: Connection | Action | Tenant, query: dict[str, str] | None = None) -> Any:
    """The one panel of the page."""
    (shown,) = client.get(page_of(row), query).context["panels"]
    return shown


def refused(tenant: Tenant, limit: str, at: datetime) -> ThrottleEvent:
    """Seven calls, recorded."""
    numbers = dict.fromkeys(("used", "quota", "effective_limit", "cost", "policy_version", "retry_after_ms"), 1)
    return ThrottleEvent.objects.create(
        stream_id=str(at), at=at, tenant_id=tenant.tenant_id, limit_name=limit, count=7, multiplier=1.0, **numbers
    )


def policy(name: str, **limits: int) -> QuotaPolicy:
    row = QuotaPolicy.objects.create(name=name)
    for limit, quota in limits.items():
        QuotaLimit.objects.create(policy=row, name=limit, quota=quota, window_seconds=60)
    return row


# Limits in force.


def test_a_tenant_s_page_shows_which_limits_hold_and_where_they_come_from(
    root: Client, acme: Tenant, base_policy: QuotaPolicy
) -> None:
    Assignment.objects.create(policy=policy("Gold", minute=600, day=9), target="tenant", tenant=acme)
    (group,) = panel(root, acme)["groups"]
    assert [(limit.name, limit.quota, limit.policy_name) for limit, _ in group["limits"]] == [
        ("minute", 600, "Gold"),
        ("day", 9, "Gold"),
    ]
    assert group["limits"][0][1] == "at most 600 units in any minute for each action of each tenant"
    assert [(gone.limit.quota, gone.by_policy) for gone in group["replaced"]] == [(100, "Gold")]
    assert "(Gold, version 3)" in root.get(page_of(acme)).content.decode()


def test_actions_with_something_of_their_own_are_shown_apart(acme: Tenant, base_policy: QuotaPolicy) -> None:
    action = Action.objects.get(tenant=acme)
    Assignment.objects.create(policy=policy("Strict", minute=5), target="action", action=action)
    plans = {found.action_id: [limit.quota for limit in found.plan.limits] for found in in_force(acme)}
    assert plans == {None: [100], "lookupOrder": [5]}


def test_an_override_counts_while_it_is_active(acme: Tenant, base_policy: QuotaPolicy) -> None:
    now = timezone.now()
    Override.objects.create(
        tenant=acme, effect="factor", factor=2, starts_at=now, ends_at=now + timedelta(hours=1), reason="campaign"
    )
    (found,) = in_force(acme, now=(now + timedelta(minutes=1)).timestamp())
    assert [limit.quota for limit in found.plan.limits] == [200]
    (found,) = in_force(acme, now=(now + timedelta(hours=2)).timestamp())
    assert [limit.quota for limit in found.plan.limits] == [100]


def test_a_tenant_without_any_policy_is_pointed_out(root: Client, acme: Tenant) -> None:
    assert b"No policy gives any limit: nothing is refused." in root.get(page_of(acme)).content


def test_a_policy_that_cannot_compile_is_named(root: Client, acme: Tenant, base_policy: QuotaPolicy) -> None:
    QuotaPolicy.objects.filter(pk=base_policy.pk).update(sensitivity=-1)  # past every form and check
    with pytest.raises(Unusable):
        in_force(acme)
    assert "sensitivity" in panel(root, acme)["problem"]


def test_limits_are_shown_to_those_who_may_see_policies(acme: Tenant) -> None:
    assert staff("view_tenant").get(page_of(acme)).context["panels"] == []


# The request of an action.


def test_an_action_s_page_shows_the_request_it_makes(root: Client, acme: Tenant) -> None:
    request = panel(root, Action.objects.get(tenant=acme))["request"]
    assert (request.method, request.url) == ("POST", "http://127.0.0.1:8801/webactions/lookupOrder/invoke")
    assert ("Authorization", "Bearer •••") in request.headers


def test_a_payload_can_be_tried_out(root: Client, acme: Tenant) -> None:
    action = Action.objects.create(tenant=acme, action_id="order", kind="rest", path_template="/orders/{orderId}")
    assert panel(root, action)["request"].url == "http://127.0.0.1:8801/orders/example-orderId"
    assert panel(root, action, {"payload": '{"orderId": "4/2"}'})["request"].url.endswith("/orders/4%2F2")


@pytest.mark.parametrize("payload", ["{", "[]", "1", '{"orderId": ".."}', '{"orderId": {}}', "{}", "[" * 9000, "NaN"])
def test_a_payload_that_cannot_be_sent_is_explained(root: Client, acme: Tenant, payload: str) -> None:
    action = Action.objects.create(tenant=acme, action_id="order", kind="rest", path_template="/orders/{orderId}")
    assert panel(root, action, {"payload": payload})["problem"]


# The state and the test of a connection.


@pytest.fixture
def unit(settings: Any) -> Iterator[Running]:
    """A business unit to talk to, over a real socket."""
    with running_in_thread(clients={"demo-client": CLIENT_SECRET}) as sandbox:
        settings.ENV = settings.ENV.model_copy(update={"SANDBOX_HOSTS": [sandbox.address]})
        yield sandbox


def test_the_test_says_step_by_step_that_the_connection_works(
    root: Client, connection: Connection, unit: Running
) -> None:
    connection.base_url = unit.base_url
    connection.save()
    response = root.post(f"/admin/tenants/connection/{connection.pk}/test/")
    assert response.context["works"], response.context["steps"]
    assert len(response.context["steps"]) == 6
    assert b"canary" not in response.content


def test_the_test_says_what_went_wrong(root: Client, connection: Connection, unit: Running) -> None:
    connection.base_url = unit.base_url
    connection.set_client_secret("canary-wrong-secret")
    connection.save()
    response = root.post(f"/admin/tenants/connection/{connection.pk}/test/")
    assert not response.context["works"]
    assert "invalid_client" in response.context["steps"][-1].detail
    assert b"canary" not in response.content


def test_viewing_a_connection_does_not_test_it(root: Client, connection: Connection) -> None:
    response = root.get(f"/admin/tenants/connection/{connection.pk}/test/")
    assert response["Location"] == page_of(connection)


def test_a_stranger_cannot_test(connection: Connection) -> None:
    url = f"/admin/tenants/connection/{connection.pk}/test/"
    assert Client().post(url).status_code == 403
    looking = staff("view_connection")
    assert looking.post(url).status_code == 403
    assert b"Test connection" not in looking.get(page_of(connection)).content
    assert looking.post("/admin/tenants/connection/999999/test/").status_code == 404


def test_a_connection_without_a_known_fault_is_usable(root: Client, connection: Connection, redis_url: str) -> None:
    assert panel(root, connection)["state"] == "usable"


def test_a_fault_is_shown_with_its_reason(root: Client, connection: Connection, redis_url: str) -> None:
    fault = health.ConnectionFault("invalid_client: unknown client", time.time(), time.time() + 60, 3, True, "f")
    with redis.Redis.from_url(redis_url) as store:
        store.set(keys.health(str(connection.uid)), health.dump(fault))
    assert panel(root, connection)["state"] == "faulty"
    assert b"invalid_client: unknown client" in root.get(page_of(connection)).content


def test_a_connection_whose_origin_spoke_unasked_is_shown_as_used_without_keep_alive(
    root: Client, connection: Connection, redis_url: str
) -> None:
    def beat(until: float) -> str:
        unit = {"without_keep_alive_until": until, "without_keep_alive_why": "it sent bytes on an idle connection"}
        return json.dumps({"at": time.time(), "upstream": {str(connection.uid): unit}})

    beats = {"wary": beat(time.time() + 60), "over it": beat(time.time() - 1), "last release": json.dumps({"at": 1})}
    with redis.Redis.from_url(redis_url) as store:
        store.hset(keys.workers(), mapping=beats)
    assert panel(root, connection)["state"] == "usable"
    page = root.get(page_of(connection)).content
    assert b"Used without keep-alive</strong> by 1 of 2 web processes" in page
    assert b"it sent bytes on an idle connection" in page


@pytest.mark.parametrize(
    ("asked", "said"), [("30000000", b"It requested a wait of 30 s."), ("", b"It did not specify for how long.")]
)
def test_a_connection_that_is_paused_shows_until_when_why_and_how_many_calls_were_held_back(
    root: Client, acme: Tenant, globex: Tenant, redis_url: str, asked: str, said: bytes
) -> None:
    now = int(time.time() * MICROS)
    with redis.Redis.from_url(redis_url) as store:
        store.set(keys.pause(acme.connection_id), f"{now + 30 * MICROS}|429|{now}|0|{asked}")
    for tenant, limit, seconds in ((acme, UPSTREAM, 9), (globex, UPSTREAM, 50), (acme, UPSTREAM, 70), (acme, "m", 1)):
        refused(tenant, limit, timezone.now() - timedelta(seconds=seconds))
    page = root.get(page_of(acme.connection)).content
    assert (
        b"<strong>Calls are held back</strong> until " in page
        and b"the upstream responded to one of them with 429" in page
    )
    assert said in page
    assert b"14 calls were held back in the last minute" in page


def test_a_connection_that_is_paused_by_rate_headers_says_so(
    root: Client, connection: Connection, redis_url: str
) -> None:
    now = int(time.time() * MICROS)
    with redis.Redis.from_url(redis_url) as store:
        store.set(keys.pause(connection.pk), f"{now + 30 * MICROS}|200|{now}|0|30000000")
    page = root.get(page_of(connection)).content
    assert b"responses nothing is left of its limit." in page and b"It requested a wait" not in page


def test_a_pause_that_is_over_is_not_shown(root: Client, connection: Connection, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as store:
        store.set(keys.pause(connection.pk), f"{int((time.time() - 1) * MICROS)}|429|1|0|")
    assert b"held back" not in root.get(page_of(connection)).content


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State(mode=Mode.WHOLE, rate=14.83, p95_us=420_000), "responds 14.8 times a second, p95 0.4 s; limits whole."),
        (State(mode=Mode.TRIAL, limit=8.5, p95_us=1_400_000), "slow (p95 1.4 s); a trial lets 8 in flight"),
        (
            State(mode=Mode.FOLLOWING, limit=5.2, rate=9.6, before_us=1_400_000, after_us=700_000),
            "responds 9.6 times a second; 5 in flight allowed; cutting helped (1.4 s → 0.7 s).",
        ),
        (State(mode=Mode.RAISING, limit=6.5, rate=9.6), "6 in flight allowed; cutting further did not help"),
        (
            State(mode=Mode.NOT_OURS, next_trial_us=1_800_000_120 * MICROS),
            "slow, but not because of us: limits whole, next trial 08:02 UTC.",
        ),
        (None, "nobody has called lately; limits whole."),
    ],
    ids=lambda each: getattr(each, "mode", None),
)
def test_a_connection_that_learns_its_calls_in_flight_says_so_in_a_sentence(
    root: Client, connection: Connection, redis_url: str, state: State | None, words: str
) -> None:
    assert "In flight</strong>" not in root.get(page_of(connection)).content.decode()
    connection.learns_in_flight = True
    connection.save()
    if state is not None:
        with redis.Redis.from_url(redis_url) as store:
            store.set(keys.in_flight(connection.pk), in_flight.write(state, LearningSettings()))
    assert words in root.get(page_of(connection)).content.decode()


def learned(connection: Connection, redis_url: str, *, interval_us: int = 983_606) -> None:
    connection.pace = Connection.Pace.LEARN
    connection.save()
    at = int(datetime(2026, 5, 1, 10, 42, tzinfo=UTC).timestamp()) * MICROS
    with redis.Redis.from_url(redis_url) as store:
        store.set(keys.pace(connection.pk), f"{interval_us}|1|{at}")
        store.hset(keys.pace_evidence(connection.pk), mapping={"at": at, "probe": at + 300 * MICROS})


def test_a_learned_pace_is_shown_and_can_be_pinned(root: Client, connection: Connection, redis_url: str) -> None:
    learned(connection, redis_url)
    page = root.get(page_of(connection)).content
    assert b"the upstream takes about 61 calls a minute." in page
    assert b"Learned at 10:42 UTC." in page and b"Last probe 10:47 UTC." in page
    pin = f"/admin/tenants/connection/{connection.pk}/pin-pace/"
    assert root.post(pin, as_seen(root, page_of(connection)))["Location"] == page_of(connection)
    connection.refresh_from_db()
    assert (connection.pace, connection.pace_per_minute) == ("fixed", 61)
    assert connection.history.latest().history_change_reason
    assert b"calls are held at 61 a minute, as set below." in root.get(page_of(connection)).content


def test_a_pace_is_pinned_by_those_who_may_change_the_connection_and_only_while_there_is_one(
    root: Client, connection: Connection, redis_url: str
) -> None:
    pin = f"/admin/tenants/connection/{connection.pk}/pin-pace/"
    connection.pace = Connection.Pace.LEARN
    connection.save()
    assert b"the upstream has not turned calls away lately" in root.get(page_of(connection)).content
    root.post(pin, as_seen(root, page_of(connection)))
    root.get(pin)
    assert staff("view_connection").post(pin).status_code == 403
    connection.refresh_from_db()
    assert (connection.pace, connection.pace_per_minute) == ("learn", None)


def test_a_fixed_pace_needs_its_calls_a_minute(connection: Connection) -> None:
    connection.pace = Connection.Pace.FIXED
    with pytest.raises(ValidationError, match="Enter the calls a minute of the fixed pace"):
        connection.full_clean()


def test_without_the_store_the_state_is_unknown_and_the_page_opens(
    root: Client, connection: Connection, settings: Any
) -> None:
    settings.ENV = settings.ENV.model_copy(update={"REDIS_URL": "redis://127.0.0.1:1/0"})
    assert panel(root, connection)["state"] == "unknown"
