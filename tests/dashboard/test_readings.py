"""The readings of a tenant for the live pages, over a real gateway and store."""

from __future__ import annotations

import json

import pytest

from dashboard.messages import tenant_frame
from dashboard.readings import TenantReading
from dashboard.stored import StoredReadings
from limiter.demand.coverage import Covered
from limiter.demand.points import Demand, Level
from limiter.demand.recent import Recent
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from tenants.models import Action, Tenant
from tests.dashboard.demanded import AT, recent, watch, watched_first_at
from tests.limiter.gateway.conftest import Gateway, gateway, gateway_settings  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def every_algorithm(acme: Tenant) -> QuotaPolicy:
    policy = QuotaPolicy.objects.create(name="Every")
    hour = {"window_seconds": 3600, "counted_per": "tenant"}
    QuotaLimit.objects.create(policy=policy, name="minute", quota=100, window_seconds=60)
    QuotaLimit.objects.create(policy=policy, name="hour", algorithm="sliding_counter", quota=10_000, **hour)
    QuotaLimit.objects.create(policy=policy, name="burst", algorithm="token_bucket", quota=1, burst=50, **hour)
    QuotaLimit.objects.create(policy=policy, name="inflight", algorithm="concurrency", quota=100)
    Assignment.objects.create(policy=policy, target="tenant", tenant=acme)
    return policy


async def test_a_limit_that_fills_says_when_it_is_full(
    gateway: Gateway,  # noqa: F811
    acme: Tenant,
    acme_key: str,
    every_algorithm: QuotaPolicy,
) -> None:
    for _ in range(30):
        assert (await gateway.invoke("lookupOrder", key=acme_key)).status == 200
    reading = TenantReading("acme")
    await reading.read(gateway.runtime.gateway)
    # Thirty calls came at once: at that pace the other seventy take a moment.
    full_in_s = reading.full_in_s["lookupOrder|minute"]
    assert full_in_s is not None and full_in_s < 60
    # One look does not tell a bucket's pace, and of calls in flight nothing is foretold.
    assert reading.full_in_s["|burst"] is None
    assert "lookupOrder|inflight" not in reading.full_in_s


def test_a_line_has_what_was_before_anybody_watched_and_after_a_while_of_nobody() -> None:
    seen = watched_first_at(AT)
    before = {AT - 400: 9, AT - 250: 70, AT - 30: 20}
    levels = {second: Level(used, 80, 100) for second, used in before.items()}
    demand = Demand(limits={("lookupOrder", "minute"): levels})
    seen.remember(Recent.of(demand))
    line = {int(point.at): point.used for point in seen.lines["lookupOrder|minute"].points}
    found = [line.get(AT - ago) for ago in (301, 299, 251, 250, 191, 190, 31, 30, 1, 0)]
    assert found == [None, 0, 0, 70, 70, 0, 0, 20, 20, 5]
    assert max(seen.peaks["lookupOrder|minute"].values()) == 70
    levels[AT + 100] = Level(33, 80, 100)
    watch(seen, AT + 200)
    seen.remember(Recent.of(demand))
    assert {int(point.at): point.used for point in seen.lines["lookupOrder|minute"].points}[AT + 100] == 33


def test_time_in_which_nothing_was_recorded_is_a_gap_of_the_line() -> None:
    seen = watched_first_at(AT)
    level = Level(50, 80, 100)
    demand = Demand(limits={("lookupOrder", "minute"): {AT - 250: level, AT - 120: level}})
    seen.remember(Recent.of(demand), [Covered(AT - 280, AT - 240), Covered(AT - 100, AT)])
    line = dict(seen.lines["lookupOrder|minute"].with_gaps())
    found = {ago: line[AT - ago] for ago in (250, 241, 240, 120, 119, 100) if AT - ago in line}
    assert {ago: point and point.used for ago, point in found.items()} == {
        250: 50,
        241: 50,
        240: None,
        120: 50,
        119: None,
        100: 50,
    }


def test_calls_that_come_and_go_between_two_readings_are_in_the_line_once() -> None:
    seen = watched_first_at(AT)
    demand = Demand()
    record = demand.limits.setdefault(("lookupOrder", "minute"), {})
    seen.remember(Recent.of(demand))
    for ago, level in ((1, Level(80, 80, 100, 4)), (0, Level(50, 80, 100, 0))):
        record[AT + 1 - ago] = level
        watch(seen, AT + 1 - ago)
        seen.remember(Recent.of(demand))
    record[AT] = Level(80, 80, 100, 7)  # another worker's part comes later
    for later in (2, 3, 90):
        watch(seen, AT + later)
        seen.remember(Recent.of(demand))
        seen.remember(Recent.of(demand))
    points = {int(point.at): point for point in seen.lines["lookupOrder|minute"].points}
    assert [points[AT + later].used for later in (0, 1, 2, 3, 90)] == [80, 50, 80, 5, 5]
    assert sum(point.refused for point in points.values()) == 7
    assert max(seen.peaks["lookupOrder|minute"].values()) == 80


async def test_a_pool_that_others_fill_puts_a_tenant_below_its_part_in_no_state(
    gateway: Gateway,  # noqa: F811
    acme: Tenant,
    globex: Tenant,
    acme_key: str,
    globex_key: str,
) -> None:
    await Action.objects.acreate(tenant=globex, action_id="lookupOrder")
    policy = await QuotaPolicy.objects.acreate(name="Pool", adaptive=False)
    pool = {"quota": 20, "window_seconds": 3600, "counted_per": "connection", "shared": True, "share_floor": 2}
    await QuotaLimit.objects.acreate(policy=policy, name="pool", **pool)
    await Assignment.objects.acreate(policy=policy, target="default")
    for _ in range(17):
        assert (await gateway.invoke("lookupOrder", key=acme_key)).status == 200
    assert (await gateway.invoke("lookupOrder", key=globex_key)).status == 200
    flooder, meek = TenantReading("acme"), TenantReading("globex")
    for reading in (flooder, meek):
        await reading.read(gateway.runtime.gateway)
        reading.recent = recent(reading.now_s)
    platform = {"calls_waiting": {"globex": 3}}
    frames = [tenant_frame(each, StoredReadings(), platform=platform, degraded=None) for each in (flooder, meek)]
    assert [frame["summary"]["state"] for frame in frames] == ["near", "ok"]
    assert [row["state"] for frame in frames for row in frame["rows"]] == ["near", "ok"]
    (share,) = frames[1]["shares"]
    assert (share["used"], share["used_by_all"], share["effective"], share["waiting"]) == (1, 18, 20, 3)
    assert (share["even"], share["floor"], share["borrowed"]) == (10, 2, 0)
    assert share["owed"] == share["share"] - 1
    assert "acme" not in json.dumps(frames[1]["shares"])


async def test_a_limit_that_counts_for_all_actions_is_asked_once(
    gateway: Gateway,  # noqa: F811
    acme: Tenant,
    acme_key: str,
    every_algorithm: QuotaPolicy,
) -> None:
    await Action.objects.acreate(tenant=acme, action_id="createCase")
    for action in ("lookupOrder", "createCase"):
        assert (await gateway.invoke(action, key=acme_key)).status == 200
    reading = TenantReading("acme")
    await reading.read(gateway.runtime.gateway)
    assert sorted(reading.full_in_s) == ["createCase|minute", "lookupOrder|minute", "|burst", "|hour"]
