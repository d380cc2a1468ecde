"""Events beyond alerts: found once each, sent to the contact points that chose them, and to no other tenant's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Any

import pytest
import redis
from django.contrib.auth.models import User
from django.db import connection as database
from django.db import transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from limiter.alerts import deliveries, dispatch, posting
from limiter.core import keys
from limiter.gateway import heartbeat
from limiter.models import AlertDelivery, AlertHook, EventMark, Export, OpenEvent, QuotaPolicy
from limiter.policies.models.version import one_version
from limiter.upstream import health
from limiter.upstream.health import ConnectionFault
from quota_platform.base.models.change import Change
from tenants.models import ApiKey, Connection, Tenant
from tests.api_client import editor, errors
from tests.filled_form import filled_form
from tests.limiter.alerts.receiver import Receiver, listening
from tests.people import browser
from tests.rows import an_export

pytestmark = pytest.mark.django_db(transaction=True)
HOOKS, ADMIN = "/api/alert-hooks/", "/admin/limiter/alerthook/"
ALL = ["policy.published", "key.created", "key.expiring", "key.revoked", "connection.unhealthy", "export.ready"]


@pytest.fixture(autouse=True)
def receiver(settings: Settings) -> Iterator[Receiver]:
    with listening() as made:
        settings.ENV = settings.ENV.model_copy(
            update={"ALERT_HOOK_HOSTS": [made.address], "PUBLIC_URL": "https://quota.example.com"}
        )
        yield made


def hook(receiver: Receiver, *events: str, **fields: Any) -> AlertHook:
    row = AlertHook(**{"name": "On-call", "url": receiver.url, "events": list(events or ALL), **fields})
    row.renew_secret()
    row.full_clean()
    row.save()
    return row


def key(tenant: Tenant | None, **fields: Any) -> ApiKey:
    return ApiKey.objects.issue(**{"name": "IVR", "tenant": tenant, "created_by": "ana", **fields})[0]


def notified(*, now: datetime | None = None) -> list[tuple[str, str]]:
    """The events and the contact points of the messages that a turn puts."""
    before = set(AlertDelivery.objects.values_list("pk", flat=True))
    dispatch.look(now=now)
    rows = AlertDelivery.objects.exclude(pk__in=before).order_by("event", "hook__name")
    return list(rows.values_list("event", "hook__name"))


def data_of(event: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(AlertDelivery.objects.get(event=event).body)
    assert (content["type"], content["version"]) == (event, 1)
    data: dict[str, Any] = content["data"]
    return data


def test_a_contact_point_gets_alerts_only_until_it_chooses_more(receiver: Receiver, acme: Tenant) -> None:
    row = AlertHook.objects.create(name="Old", url=receiver.url)
    key(acme)
    assert row.events == ["alert.started"] and notified() == []
    assert not EventMark.objects.exists(), "nothing is looked for"


def test_one_that_did_not_choose_alerts_gets_none(receiver: Receiver, acme: Tenant) -> None:
    from tests.limiter.alerts.given import alert

    hook(receiver, "key.revoked")
    assert deliveries.put([alert()], "alert.started") == 0


def test_a_key_s_creation_and_revocation_are_sent_once(receiver: Receiver, acme: Tenant) -> None:
    hook(receiver)
    row = key(acme)
    assert notified() == [("key.created", "On-call")]
    assert notified() == [], "the turn came twice"
    row.revoke()
    row.name = "IVR, old"
    row.save()
    assert notified() == [("key.revoked", "On-call")] and notified() == []
    data = data_of("key.revoked")
    assert (data["tenant_id"], data["key_id"]) == ("acme", row.pk)
    assert data["url"] == f"https://quota.example.com/admin/tenants/apikey/{row.pk}/change/"


def test_a_turn_that_dies_is_made_up_for_by_the_next(receiver: Receiver, acme: Tenant) -> None:
    hook(receiver, "key.created")
    key(acme)
    with pytest.raises(SystemExit), transaction.atomic():
        assert dispatch.look() == 1
        raise SystemExit  # killed before the commit
    assert not AlertDelivery.objects.exists(), "all or nothing"
    assert notified() == [("key.created", "On-call")] and notified() == []


def test_a_turn_costs_what_is_new_and_not_what_it_finds_again(
    receiver: Receiver, acme: Tenant, base_policy: QuotaPolicy
) -> None:
    hook(receiver)
    costs = []
    for more in (1, 12):
        for _ in range(more):
            key(acme, expires_at=timezone.now() + timedelta(days=30)).revoke()
            base_policy.save()
        notified()
        with CaptureQueriesContext(database) as queries:
            assert dispatch.look() == 0
        costs.append(len(queries))
    assert costs[0] == costs[1]


def test_messages_are_posted_once_and_retried_as_those_of_alerts(receiver: Receiver, acme: Tenant) -> None:
    hook(receiver, "key.created")
    key(acme)
    dispatch.look()
    receiver.responses[:] = [500]
    (pk,) = AlertDelivery.objects.values_list("pk", flat=True)
    assert posting.post(pk) == "waiting"
    assert posting.post(pk, now=timezone.now() + timedelta(minutes=1)) == "arrived"
    assert len(set(receiver.ids())) == 1 and len(receiver.posted) == 2


def test_what_happened_while_nobody_looked_is_sent_later(receiver: Receiver, acme: Tenant) -> None:
    hook(receiver, "key.created")
    dispatch.look()
    key(acme)
    assert notified(now=timezone.now() + timedelta(hours=3)) == [("key.created", "On-call")]


def test_what_happened_before_there_was_a_contact_point_is_not_sent(receiver: Receiver, acme: Tenant) -> None:
    key(acme)
    hook(receiver)
    assert notified() == []


def test_a_tenant_s_contact_point_gets_that_tenant_s_events_only(
    receiver: Receiver, acme: Tenant, globex: Tenant
) -> None:
    for tenant in (acme, globex, None):
        hook(receiver, name=str(tenant.tenant_id if tenant else "every"), tenant=tenant)
    key(acme)
    key(None, name="platform")
    assert notified() == [("key.created", "acme"), ("key.created", "every"), ("key.created", "every")]


def test_a_key_about_to_expire_is_sent_once_for_each_threshold(receiver: Receiver, acme: Tenant) -> None:
    hook(receiver, "key.expiring")
    ends = timezone.now() + timedelta(days=20)
    key(acme, expires_at=ends)
    assert notified() == []
    moments = [timedelta(days=-13), timedelta(days=-13), timedelta(days=-6.5), timedelta(hours=-23), timedelta(days=1)]
    found = [len(notified(now=ends + each)) for each in moments]
    assert found == [1, 0, 1, 1, 0]
    days = [
        json.loads(body)["data"]["days"] for body in AlertDelivery.objects.order_by("pk").values_list("body", flat=True)
    ]
    assert days == [14, 7, 1]


def test_an_edit_that_moves_a_key_s_end_near_is_sent(receiver: Receiver, acme: Tenant) -> None:
    hook(receiver, "key.expiring")
    row = key(acme, expires_at=timezone.now() + timedelta(days=90))
    assert notified() == []
    row.expires_at = timezone.now() + timedelta(days=3)
    row.save()
    assert notified() == [("key.expiring", "On-call")] and notified() == []
    assert data_of("key.expiring")["days"] == 7


def test_a_published_policy_says_what_changed_and_goes_to_those_under_it(
    receiver: Receiver, acme: Tenant, globex: Tenant, base_policy: QuotaPolicy
) -> None:
    dispatch.look()
    AlertHook.objects.all().delete()
    hook(receiver, "policy.published", name="acme", tenant=acme)
    EventMark.objects.update_or_create(type="policy.published", defaults={"at": timezone.now()})
    own = QuotaPolicy.objects.create(name="Nobody's")
    assert notified() == [], "it is given to nobody"
    limit = base_policy.limits.get(name="minute")
    with one_version("Quieter nights"):
        limit.quota = 80
        limit.save()
    assert notified() == [("policy.published", "acme")] and notified() == []
    data = data_of("policy.published")
    assert (data["policy"], data["reason"], data["tenant_id"]) == (base_policy.name, "Quieter nights", "acme")
    assert {"field": "Limit minute: limit", "before": "100", "after": "80"} in data["changes"]
    assert own.pk


def test_an_export_goes_to_the_tenant_whose_rows_alone_it_has(receiver: Receiver, acme: Tenant, globex: Tenant) -> None:
    for name, tenant in (("acme", acme), ("every", None)):
        hook(receiver, "export.ready", "export.failed", name=name, tenant=tenant)
    for tenants, state in ((["acme"], "done"), (["acme", "globex"], "done"), ([], "failed")):
        made = an_export(tenants=tenants)
        Export.objects.filter(pk=made.pk).update(state=state, finished_at=timezone.now(), error="OSError")
    assert notified() == [
        ("export.failed", "every"),
        ("export.ready", "acme"),
        ("export.ready", "every"),
        ("export.ready", "every"),
    ]


def fault(url: str, connection: Connection, *, lasting: bool, there: bool = True) -> None:
    with redis.Redis.from_url(url) as client:
        if there:
            found = ConnectionFault("refused", 0.0, 0.0, failures=1, lasting=lasting, fingerprint="x")
            client.set(keys.health(str(connection.uid)), health.dump(found))
        else:
            client.delete(keys.health(str(connection.uid)))


def test_a_connection_that_comes_and_goes_is_sent_as_one(
    receiver: Receiver, acme: Tenant, globex: Tenant, redis_url: str
) -> None:
    hook(receiver, "connection.unhealthy", tenant=acme)
    hook(receiver, "connection.unhealthy", name="starts", tenant=acme, tell_ends=False)
    now, connection = timezone.now(), acme.connection
    steps = [
        (0, True, 0),
        (20, True, 0),
        (40, True, 2),
        (60, False, 0),
        (120, True, 0),
        (200, False, 0),
        (300, False, 1),
    ]
    for seconds, there, messages in steps:
        fault(redis_url, connection, lasting=False, there=there)
        assert len(notified(now=now + timedelta(seconds=seconds))) == messages, seconds
    data = data_of("connection.healthy")
    assert (data["connection"], data["reason"]) == (connection.name, "refused")
    assert not OpenEvent.objects.exists()


def test_a_moment_s_fault_is_not_sent_and_one_that_lasts_is_at_once(
    receiver: Receiver, acme: Tenant, redis_url: str
) -> None:
    hook(receiver, "connection.unhealthy")
    now = timezone.now()
    fault(redis_url, acme.connection, lasting=False)
    assert notified(now=now) == []
    fault(redis_url, acme.connection, lasting=False, there=False)
    assert notified(now=now + timedelta(minutes=3)) == []
    fault(redis_url, acme.connection, lasting=True)
    assert notified(now=now + timedelta(minutes=4)) == [("connection.unhealthy", "On-call")]


def beat(url: str, worker: str, *, seq: int) -> None:
    with redis.Redis.from_url(url) as client:
        text = heartbeat.FORM.dump({"at": timezone.now().timestamp(), "snapshot": {"seq": seq}})
        client.hset(keys.workers(), worker, text)


def test_an_edit_that_a_worker_does_not_take_in_is_sent_and_that_it_did(receiver: Receiver, redis_url: str) -> None:
    hook(receiver, "rollout.incomplete")
    now, soon = timezone.now(), timezone.now() + timedelta(hours=1)
    made = (now - timedelta(seconds=20), soon)
    old, new = (Change.objects.create(topic="default", entity_id=0, at=at).pk for at in made)
    steps = [(0, old, 0), (1, old - 1, 0), (20, old - 1, 0), (32, old - 1, 1), (60, old, 0), (153, old, 1)]
    for seconds, seq, messages in steps:
        beat(redis_url, "a", seq=new)
        beat(redis_url, "b", seq=seq)
        assert len(notified(now=now + timedelta(seconds=seconds))) == messages, seconds
    data = data_of("rollout.incomplete")
    assert (data["change"], data["workers"], data["live"], data["tenant_id"]) == (old, 2, 1, None)
    assert data_of("rollout.complete")["until"] == (now + timedelta(seconds=32)).isoformat()


def test_where_no_worker_is_heard_nothing_is_said_of_a_rollout(receiver: Receiver, redis_url: str) -> None:
    hook(receiver, "rollout.incomplete")
    Change.objects.create(topic="default", entity_id=0, at=timezone.now() - timedelta(seconds=20))
    assert notified() == [] and not OpenEvent.objects.exists()


@pytest.mark.parametrize(
    ("least", "events"),
    [
        ("info", {"key.created", "key.revoked", "connection.unhealthy", "connection.healthy"}),
        ("warning", {"key.revoked", "connection.unhealthy", "connection.healthy"}),
        ("error", {"connection.unhealthy", "connection.healthy"}),
        ("critical", set()),
    ],
)
def test_a_contact_point_gets_events_from_its_severity_on_and_the_ends_of_those(
    receiver: Receiver, acme: Tenant, redis_url: str, least: str, events: set[str]
) -> None:
    hook(receiver, from_severity=least)
    now = timezone.now()
    key(acme).revoke()
    fault(redis_url, acme.connection, lasting=True)
    found = notified(now=now)
    fault(redis_url, acme.connection, lasting=False, there=False)
    found += notified(now=now + timedelta(minutes=3))
    assert {event for event, _ in found} == events


def test_alerts_too_go_to_contact_points_by_their_severity(receiver: Receiver) -> None:
    from tests.limiter.alerts.given import alert

    for least in ("info", "warning", "error", "critical"):
        hook(receiver, "alert.started", name=least, from_severity=least)
    expected = [(100, False, 4), (95, False, 3), (80, False, 2), (100, True, 1)]
    for threshold, shadow, gets in expected:
        row = alert(threshold=threshold, shadow=shadow, limit_name=f"{threshold} {shadow}")
        assert deliveries.put([row], "alert.started") == gets
        row.ended_at = timezone.now()
        assert deliveries.put([row], "alert.ended") == gets


def test_the_severity_is_set_in_the_api_and_stands_beside_each_event_in_the_form(
    receiver: Receiver, admin_user: User
) -> None:
    made = editor("ana").post(HOOKS, {"name": "a", "url": receiver.url, "from_severity": "error"})
    assert made.json()["from_severity"] == "error"
    page = browser(admin_user).get(f"{ADMIN}{made.json()['id']}/change/").content.decode()
    assert "API key revoked (warning)" in page and "Connection cannot be used (error)" in page
    assert set(errors(editor("eve").post(HOOKS, {"name": "b", "url": receiver.url, "from_severity": "all"}))) == {
        "from_severity"
    }


def test_outside_its_hours_a_contact_point_gets_news_when_they_begin(receiver: Receiver, acme: Tenant) -> None:
    now = timezone.now()
    begin = (now + timedelta(hours=3)).replace(minute=0, second=0, microsecond=0)
    hook(receiver, "key.created", active_from=begin.time(), active_until=time((begin.hour + 1) % 24))
    key(acme)
    dispatch.look()
    assert AlertDelivery.objects.get().next_at == begin


def test_no_message_has_a_token_or_a_part_of_one(receiver: Receiver, acme: Tenant) -> None:
    hook(receiver)
    row, token = ApiKey.objects.issue(name="IVR", tenant=acme)
    row.revoke()
    dispatch.look()
    bodies = repr(list(AlertDelivery.objects.values_list("body", flat=True)))
    assert "IVR" in bodies
    for secret in (token, row.prefix, row.digest, AlertHook.objects.get().secret()):
        assert secret not in bodies


@pytest.mark.parametrize(
    ("kind", "chosen", "wrong"),
    [
        ("hook", [], "Choose at least one event."),
        ("hook", ["alert.ended"], "There is no event alert.ended."),
        ("hook", ["store.moved"], "There is no event store.moved."),
        (
            "opsgenie",
            ["alert.started", "key.created"],
            "Opsgenie only takes events that open an alert, and API key created opens none.",
        ),
    ],
)
def test_events_that_cannot_be_chosen_are_refused(receiver: Receiver, kind: str, chosen: list[str], wrong: str) -> None:
    fields = {"name": "a", "kind": kind, "url": receiver.url, "events": chosen}
    fields |= {"credential": "0" * 32} if kind == "opsgenie" else {}
    assert errors(editor("ana").post(HOOKS, fields)) == {"events": [wrong]}


def test_events_are_chosen_in_the_api_and_in_the_form(receiver: Receiver, admin_user: User) -> None:
    made = editor("ana").post(HOOKS, {"name": "a", "url": receiver.url, "events": ["key.revoked", "alert.started"]})
    assert made.json()["events"] == ["alert.started", "key.revoked"]
    root = browser(admin_user)
    path = f"{ADMIN}{made.json()['id']}/change/"
    form = filled_form(root.get(path).content)
    assert form["events"] == ["alert.started", "key.revoked"]
    assert root.post(path, {**form, "events": ["export.ready"]}).status_code == 302
    row = AlertHook.objects.get()
    assert row.events == ["export.ready"] and row.history.count() == 2
