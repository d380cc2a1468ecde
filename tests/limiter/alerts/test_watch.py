"""Alerts start at thresholds and end below them, for all workers alike, over a real store and database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from limiter import clients
from limiter.alerts import watch
from limiter.core import keys
from limiter.demand import recorder
from limiter.demand.recorder import DemandRecorder
from limiter.demand.state import NOW_S
from limiter.models import Alert, Assignment, Override, QuotaLimit, QuotaPolicy
from limiter.stores.errors import StoreError
from quota_platform import beat
from tenants.models import Action, Tenant
from tests.chaos import ChaosProxy
from tests.limiter.alerts.given import burst, called, data, forget, look, refused, seen, use
from tests.limiter.core.given import store_at
from tests.limiter.demand.given import SECOND, a_stack, decided
from tests.patience import eventually

pytestmark = pytest.mark.django_db(transaction=True)

ROW = ("acme", "lookupOrder", "minute")


def test_no_alert_starts_below_the_lowest_threshold(redis_url: str, acme: Tenant, base_policy: QuotaPolicy) -> None:
    use(redis_url, acme, 79)
    assert data() == []


def test_each_threshold_that_is_reached_is_an_alert_and_says_how_it_was(
    redis_url: str, acme: Tenant, base_policy: QuotaPolicy
) -> None:
    use(redis_url, acme, 80)
    assert data() == [(*ROW, 80)]
    alert = Alert.objects.get()
    assert (alert.policy_name, alert.policy_version) == ("Base", base_policy.version)
    assert (alert.used, alert.effective_limit, alert.shadow) == (80, 100, False)
    assert alert.full_in_s is not None and 0 < alert.full_in_s < 60
    use(redis_url, acme, 20)
    assert data() == [(*ROW, 80), (*ROW, 95), (*ROW, 100)]
    assert Alert.objects.get(threshold=100).full_in_s == 0


def test_an_alert_lasts_until_use_has_fallen_by_a_margin_and_then_may_start_again(
    redis_url: str, acme: Tenant, base_policy: QuotaPolicy
) -> None:
    use(redis_url, acme, 80)
    assert data() == [(*ROW, 80)]
    for used in (79, 75):  # on the edge: neither over nor anew
        forget(redis_url, acme, leaving=used)
        assert data() == [(*ROW, 80)]
    forget(redis_url, acme, leaving=74)
    assert data() == []
    ended = Alert.objects.get()
    assert (ended.ending, ended.ended_at is not None) == ("fell", True)
    use(redis_url, acme, 6)
    assert data() == [(*ROW, 80)]
    assert Alert.objects.count() == 2


def test_an_alert_lasts_while_its_limit_refuses(redis_url: str, acme: Tenant, base_policy: QuotaPolicy) -> None:
    use(redis_url, acme, 100)
    assert data() == [(*ROW, 80), (*ROW, 95), (*ROW, 100)]
    refused(redis_url, acme, seconds_ago=0)
    forget(redis_url, acme, leaving=0)
    assert data() == [(*ROW, 80), (*ROW, 95), (*ROW, 100)]
    no_demand(redis_url)
    refused(redis_url, acme, seconds_ago=NOW_S)
    assert data() == []


def test_bursts_between_two_looks_are_one_alert_until_none_came_for_a_minute(
    redis_url: str, acme: Tenant, base_policy: QuotaPolicy
) -> None:
    burst(redis_url, acme, 97, seconds_ago=0)
    assert data() == [(*ROW, 80), (*ROW, 95)]
    assert [(alert.used, alert.effective_limit) for alert in Alert.objects.all()] == [(97, 100)] * 2
    no_demand(redis_url)
    burst(redis_url, acme, 81, seconds_ago=30)
    assert data() == [(*ROW, 80)]
    no_demand(redis_url)
    burst(redis_url, acme, 100, seconds_ago=NOW_S)
    assert data() == []
    assert Alert.objects.count() == 2


def test_a_burst_is_no_alert_of_a_limit_that_is_larger_by_now(
    redis_url: str, acme: Tenant, base_policy: QuotaPolicy
) -> None:
    burst(redis_url, acme, 100, seconds_ago=0)
    base_policy.limits.update(quota=1_000)
    assert data() == []
    base_policy.limits.update(quota=10)
    assert data() == [(*ROW, 80), (*ROW, 95), (*ROW, 100)]


def no_demand(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.delete(*client.keys("*demand*"))


def test_a_limit_that_nobody_calls_any_more_ends_its_alert(
    redis_url: str, acme: Tenant, base_policy: QuotaPolicy
) -> None:
    use(redis_url, acme, 90)
    assert data() == [(*ROW, 80)]
    forget(redis_url, acme, leaving=0)
    assert data(now=timezone.now() + timedelta(hours=1)) == []


def test_only_limits_found_near_lately_are_looked_at(redis_url: str, acme: Tenant, base_policy: QuotaPolicy) -> None:
    use(redis_url, acme, 90)
    assert data(now=timezone.now() + timedelta(minutes=5)) == []
    assert data() == [(*ROW, 80)]


def test_a_cut_limit_is_measured_by_the_limit_in_force(redis_url: str, acme: Tenant, base_policy: QuotaPolicy) -> None:
    use(redis_url, acme, 50)
    assert data() == []
    with redis.Redis.from_url(redis_url) as client:
        client.set(keys.multiplier(acme.connection_id, "acme", None), 500_000)
    assert data() == [(*ROW, 80), (*ROW, 95), (*ROW, 100)]
    assert Alert.objects.get(threshold=80).effective_limit == 50


def test_a_limit_of_all_actions_is_one_alert_of_the_tenant(redis_url: str, acme: Tenant) -> None:
    policy = QuotaPolicy.objects.create(name="Plan", alert_at=[50])
    QuotaLimit.objects.create(policy=policy, name="day", quota=10, window_seconds=86_400, counted_per="tenant")
    Assignment.objects.create(policy=policy, target="tenant", tenant=acme)
    Action.objects.create(tenant=acme, action_id="createCase")
    use(redis_url, acme, 3)
    use(redis_url, acme, 2, action="createCase")
    assert data() == [("acme", "", "day", 50)]
    # It is still looked at when no action of the tenant was called lately.
    assert data(now=timezone.now() + timedelta(hours=1)) == [("acme", "", "day", 50)]


@pytest.mark.parametrize(
    ("algorithm", "more"),
    [
        ("sliding_log", {"window_seconds": 60}),
        ("sliding_counter", {"window_seconds": 60}),
        ("token_bucket", {"window_seconds": 86_400, "burst": 10}),
        ("concurrency", {}),
    ],
)
def test_every_algorithm_has_alerts(redis_url: str, acme: Tenant, algorithm: str, more: dict[str, Any]) -> None:
    policy = QuotaPolicy.objects.create(name="Plan")
    QuotaLimit.objects.create(policy=policy, name="any", algorithm=algorithm, quota=10, **more)
    Assignment.objects.create(policy=policy, target="tenant", tenant=acme)
    use(redis_url, acme, 8)
    assert data() == [("acme", "lookupOrder", "any", 80)]


def test_a_limit_per_key_has_none_and_a_policy_without_thresholds_neither(redis_url: str, acme: Tenant) -> None:
    policy = QuotaPolicy.objects.create(name="Plan")
    QuotaLimit.objects.create(policy=policy, name="key", quota=10, window_seconds=60, counted_per="key")
    Assignment.objects.create(policy=policy, target="tenant", tenant=acme)
    use(redis_url, acme, 10)
    assert data() == []
    policy.limits.update(counted_per="action")
    policy.alert_at = []
    policy.save()
    use(redis_url, acme, 10)
    assert data() == []


@pytest.mark.parametrize("what", ["threshold", "limit", "tenant"])
def test_an_alert_ends_with_what_it_was_about(
    redis_url: str, acme: Tenant, base_policy: QuotaPolicy, what: str
) -> None:
    use(redis_url, acme, 80)
    assert data() == [(*ROW, 80)]
    if what == "threshold":
        base_policy.alert_at = [90]
        base_policy.save()
    elif what == "limit":
        base_policy.limits.get().delete()
    else:
        acme.api_keys.all().delete()
        acme.delete()
    assert data() == []
    assert Alert.objects.get().ending == "gone"


def test_alerts_of_shadow_limits_are_marked(redis_url: str, acme: Tenant, base_policy: QuotaPolicy) -> None:
    Override.objects.create(
        tenant=acme, effect="shadow", starts_at=timezone.now(), ends_at=timezone.now() + timedelta(hours=1), reason="t"
    )
    use(redis_url, acme, 80)
    assert data() == [(*ROW, 80)]
    assert Alert.objects.get().shadow is True


def test_a_policy_that_cannot_compile_disturbs_nobody_else(
    redis_url: str, acme: Tenant, globex: Tenant, base_policy: QuotaPolicy
) -> None:
    broken = QuotaPolicy.objects.create(name="Broken")
    QuotaLimit.objects.create(policy=broken, name="minute", quota=5, window_seconds=60)
    Assignment.objects.create(policy=broken, target="tenant", tenant=globex)
    QuotaPolicy.objects.filter(pk=broken.pk).update(mode="nonsense")
    called(globex, "createCase")
    use(redis_url, acme, 80)
    assert data() == [(*ROW, 80)]


def test_one_evaluator_has_the_turn_and_says_how_it_went(
    redis_url: str, acme: Tenant, base_policy: QuotaPolicy
) -> None:
    use(redis_url, acme, 80)
    client = clients.client()
    client.set(keys.running("watch_limits"), "another", px=60_000)
    assert watch.watch() is None
    client.delete(keys.running("watch_limits"))
    assert watch.watch() == 1
    client.close()


def test_two_evaluators_at_once_make_one_alert(redis_url: str, acme: Tenant, base_policy: QuotaPolicy) -> None:
    use(redis_url, acme, 80)
    known: list[Alert] = []  # What the slower one read before the faster one wrote.
    read = seen()
    assert watch.apply(known, read, now=timezone.now()) == 1
    assert watch.apply(known, read, now=timezone.now()) == 0
    assert Alert.objects.count() == 1


def test_while_the_store_is_unavailable_no_alert_starts_or_ends(
    redis_url: str, acme: Tenant, base_policy: QuotaPolicy, settings: Any
) -> None:
    use(redis_url, acme, 80)
    assert data() == [(*ROW, 80)]
    settings.ENV = settings.ENV.model_copy(update={"LIMITER_REDIS_URL": "redis://127.0.0.1:1/0"})
    with pytest.raises((StoreError, redis.ConnectionError)):
        look()
    assert Alert.objects.get().ended_at is None


def test_the_number_of_queries_does_not_grow_with_the_tenants(
    redis_url: str, acme: Tenant, globex: Tenant, base_policy: QuotaPolicy
) -> None:
    called(acme)
    with CaptureQueriesContext(database) as one:
        look()
    called(globex, "createCase")
    with CaptureQueriesContext(database) as two:
        look()
    assert len(one) == len(two)


def test_old_alerts_are_deleted_and_those_that_last_are_kept(db: None, settings: Any) -> None:
    long_ago = timezone.now() - timedelta(days=settings.ENV.ALERTS_KEPT_DAYS + 1)
    about = {"tenant_id": "acme", "policy_name": "Base", "policy_version": 1, "used": 8, "effective_limit": 10}
    for limit, ended in (("lasts", None), ("old", long_ago), ("new", timezone.now())):
        Alert.objects.create(at=long_ago, ended_at=ended, limit_name=limit, threshold=80, **about)
    assert watch.prune() == 1
    assert sorted(Alert.objects.values_list("limit_name", flat=True)) == ["lasts", "new"]


async def test_a_worker_names_who_is_near_a_limit_and_nobody_else(redis_url: str) -> None:
    store, near = store_at(redis_url), a_stack(alert_at=(80, 95))
    worker = DemandRecorder(store)
    worker.note(near, "", decided(near, used=79))
    worker.note(a_stack(tenant="globex"), "", decided(a_stack(tenant="globex"), used=100))  # it has no thresholds
    await worker.send()
    assert await store.command("ZCARD", keys.near(1), key=keys.near(1)) == 0
    for second, used in ((SECOND, 80), (SECOND + 1, 85), (SECOND + 2, 10)):
        worker.note(near, "", decided(near, used=used, second=second))
    await worker.send()
    members = await store.command("ZRANGE", keys.near(1), 0, -1, "WITHSCORES", key=keys.near(1))
    assert [str(each.decode() if isinstance(each, bytes) else each) for each in members] == [
        "acme|lookupOrder",
        str(SECOND + 1),
    ]
    await store.close()


async def test_who_was_near_reaches_the_store_when_it_is_back(redis_url: str) -> None:
    near, direct = a_stack(alert_at=(80,)), store_at(redis_url)
    async with ChaosProxy.before(urlsplit(redis_url).port or 6379) as proxy:
        store = store_at(proxy.url)
        worker = DemandRecorder(store)
        worker.note(near, "", decided(near, used=80))
        await proxy.refuse()
        await worker.send()
        await proxy.accept()

        async def it_has() -> bool:
            await worker.send()
            return int(await direct.command("ZCARD", keys.near(1), key=keys.near(1))) == 1

        await eventually(it_has, what="the store to have the mark")
        await store.close()
    await direct.close()


def test_more_limits_than_any_bound_are_watched(redis_url: str, acme: Tenant, base_policy: QuotaPolicy) -> None:
    called(acme, *(f"action{number}" for number in range(5_100)))
    use(redis_url, acme, 80)
    use(redis_url, acme, 80, action="action5099")
    assert data() == [("acme", "action5099", "minute", 80), (*ROW, 80)]


def test_a_message_is_on_its_way_within_five_seconds_of_the_threshold() -> None:
    """The worker's report, then the watch, which queues the post itself: each waits its period at most.

    A post that is queued while others are handed out waits for the next turn, too.
    """
    watched_s = beat.every_s("limiter.tasks.watch_limits") + recorder.EVERY_S
    assert watched_s <= 3
    assert watched_s + beat.every_s("limiter.tasks.post_alerts") <= 5


def test_beat_queues_the_watch_every_few_seconds() -> None:
    assert beat.every_s("limiter.tasks.watch_limits") == watch.EVERY_S
