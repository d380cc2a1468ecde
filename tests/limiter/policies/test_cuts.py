"""A save that cuts a limit below its use of the last day asks first, and names the tenants it hits."""

from __future__ import annotations

import time

import pytest
from django.contrib.auth.models import User
from django.test import Client

from limiter.demand import blocks
from limiter.demand.points import Calls, Demand, Level
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from limiter.policies import cuts
from tenants.models import Action, Tenant
from tests.api_client import editor
from tests.filled_form import filled_form

pytestmark = pytest.mark.django_db
AN_HOUR_AGO = int(time.time()) // 60 * 60 - 3_600


@pytest.fixture
def gold(acme: Tenant, globex: Tenant) -> QuotaPolicy:
    """A hundred a minute for Acme; Globex has a policy of its own with a limit of the same name and number."""
    for name, tenant in (("Gold", acme), ("Other", globex)):
        policy = QuotaPolicy.objects.create(name=name)
        QuotaLimit.objects.create(policy=policy, name="minute", quota=100, window_seconds=60)
        Assignment.objects.create(policy=policy, target="tenant", tenant=tenant)
    return QuotaPolicy.objects.get(name="Gold")


def used(tenant_id: str, units: int, *, ago_s: int = 3_600, action_id: str = "lookupOrder") -> None:
    start = AN_HOUR_AGO + 3_600 - ago_s
    levels = {start + 7: Level(units, 100, 100), start + 9: Level(1, 100, 100)}
    blocks.add(start, 60, {tenant_id: Demand({}, {(action_id, "minute"): levels})})


def lowered(policy: QuotaPolicy, quota: int, **changes: object) -> list[QuotaLimit]:
    line = policy.limits.get()
    for name, value in {"quota": quota, **changes}.items():
        setattr(line, name, value)
    return [line]


def test_a_cut_hits_those_under_the_limit_who_used_more_in_the_last_day(gold: QuotaPolicy) -> None:
    used("acme", 90)
    used("globex", 95)
    ((hit,),) = cuts.hits(gold, lowered(gold, 60)).values()
    assert (hit.tenant.tenant_id, hit.peak.action_id, hit.peak.used, hit.limit) == ("acme", "lookupOrder", 90, 60)
    assert cuts.hits(gold, lowered(gold, 90)) == {}
    assert list(cuts.hits(gold, lowered(gold, 60, window_seconds=3_600))) == ["minute"]


def test_no_raise_no_shorter_window_no_shadow_and_no_older_use_is_such_a_cut(gold: QuotaPolicy) -> None:
    used("acme", 90, ago_s=26 * 3_600)
    assert cuts.hits(gold, lowered(gold, 60)) == {}
    used("acme", 200)
    assert cuts.hits(gold, lowered(gold, 150)) == {}
    assert cuts.hits(gold, lowered(gold, 60, window_seconds=30)) == {}
    gold.mode = "shadow"
    assert cuts.hits(gold, lowered(gold, 60)) == {}


def test_an_action_with_a_narrower_limit_of_the_same_name_is_not_hit(gold: QuotaPolicy, acme: Tenant) -> None:
    used("acme", 90)
    own = QuotaPolicy.objects.create(name="Own")
    QuotaLimit.objects.create(policy=own, name="minute", quota=100, window_seconds=60)
    action = Action.objects.get(tenant=acme, action_id="lookupOrder")
    Assignment.objects.create(policy=own, target="action", action=action)
    assert cuts.hits(gold, lowered(gold, 60)) == {}
    assert list(cuts.hits(own, lowered(own, 60))) == ["minute"]


def test_a_tenant_that_the_reader_does_not_see_is_counted_and_not_named(gold: QuotaPolicy) -> None:
    used("acme", 90)
    ((hit,),) = cuts.hits(gold, lowered(gold, 60)).values()
    assert "Acme" not in cuts.sentence([hit], seen={})
    assert "Acme" in cuts.sentence([hit], seen={"acme": hit.tenant})


def test_the_form_asks_and_saves_what_is_confirmed(gold: QuotaPolicy, acme: Tenant) -> None:
    used("acme", 90)
    client = Client()
    client.force_login(User.objects.create_superuser("root", password=None))
    page = f"/admin/limiter/quotapolicy/{gold.pk}/change/"
    form = filled_form(client.get(page).content) | {"limits-0-quota": "60"}
    asked = client.post(page, form).content.decode()
    assert (
        f"{acme.name} · lookupOrder (90)" in asked
        and "Cut them nevertheless" in asked
        and "Please correct" not in asked
    )
    question = asked.partition("Before you save")[2].partition("</section>")[0]
    assert f"minute: More than 60 units would have been in use at once in the last 24 hours: {acme.name}" in question
    assert gold.limits.get().quota == 100
    assert client.post(page, form | {"confirm_cut": "1"}).status_code == 302
    assert gold.limits.get().quota == 60


def test_the_api_asks_a_caller_who_wants_to_be_asked(gold: QuotaPolicy) -> None:
    used("acme", 90)
    minute = {"name": "minute", "quota": 60, "window_seconds": 60}
    path, api = f"/api/policies/{gold.pk}/", editor()
    asked = api.patch(path, {"limits": [minute], "confirm_cut": False, "version": gold.version})
    hit = {"tenant": "acme", "action": "lookupOrder", "limit": "minute", "used": 90, "units": 60}
    assert (asked.status_code, asked.json()["cuts"], asked.json()["more_cuts"]) == (409, [hit], 0)
    assert gold.limits.get().quota == 100
    for confirmed in ({"confirm_cut": True}, {}):
        QuotaLimit.objects.filter(policy=gold).update(quota=100)
        gold.refresh_from_db()
        saved = api.patch(path, {"limits": [minute], "version": gold.version, **confirmed})
        assert (saved.status_code, gold.limits.get().quota) == (200, 60)


# What would have been allowed, by the second.


def called(
    tenant_id: str, units_a_second: int, seconds: int, *, action_id: str = "lookupOrder", counted_for: str | None = None
) -> None:
    """Calls that were allowed, in every one of so many seconds from an hour ago on.

    ``counted_for``: the action that the limit counts for, the calls' own unless given; "" for all.
    """
    for start in range(AN_HOUR_AGO, AN_HOUR_AGO + seconds, 60):
        span = range(start, min(start + 60, AN_HOUR_AGO + seconds))
        calls = {second: Calls(allowed=units_a_second, units=units_a_second) for second in span}
        limit = action_id if counted_for is None else counted_for, "minute"
        demand = Demand({(action_id, "ab12cd34"): calls}, {limit: {start: Level(1, 1_000, 1_000)}})
        blocks.add(start, 60, {tenant_id: demand})


def bucket(policy: QuotaPolicy, **numbers: int) -> None:
    policy.limits.update(algorithm="token_bucket", **numbers)


def test_a_lower_rate_with_the_same_burst_hits_those_who_called_faster(gold: QuotaPolicy) -> None:
    bucket(gold, quota=600, burst=20)
    called("acme", 10, 120)
    ((hit,),) = cuts.hits(gold, lowered(gold, 300)).values()
    assert (hit.tenant.tenant_id, hit.peak.action_id, hit.limit) == ("acme", "lookupOrder", 20)
    assert hit.peak.used == 600, "ten a second came for 120 s, and five went back in each"
    assert cuts.hits(gold, lowered(gold, 600)) == {}
    assert cuts.hits(gold, lowered(gold, 590)) == {}, "20 at once carry two minutes of this"


def test_the_same_units_in_a_longer_window_hit_those_who_used_more_in_it(gold: QuotaPolicy) -> None:
    called("acme", 1, 300)
    ((hit,),) = cuts.hits(gold, lowered(gold, 100, window_seconds=180)).values()
    assert (hit.peak.used, hit.limit) == (180, 100)
    assert cuts.hits(gold, lowered(gold, 300, window_seconds=300)) == {}


def test_a_shorter_window_hits_those_whose_calls_came_close_together(gold: QuotaPolicy) -> None:
    called("acme", 3, 20)
    ((hit,),) = cuts.hits(gold, lowered(gold, 30, window_seconds=15)).values()
    assert (hit.peak.used, hit.limit) == (45, 30)
    assert cuts.hits(gold, lowered(gold, 45, window_seconds=15)) == {}


def test_another_algorithm_is_compared_by_what_it_would_have_admitted(gold: QuotaPolicy) -> None:
    called("acme", 90, 1)
    wanted = lowered(gold, 100, algorithm="token_bucket", burst=50)
    ((hit,),) = cuts.hits(gold, wanted).values()
    assert (hit.peak.used, hit.limit) == (88, 50), "a unit or two came back within the second"
    assert cuts.hits(gold, lowered(gold, 100, algorithm="token_bucket", burst=100)) == {}


def test_a_raise_hits_nobody_whatever_passed_the_limit_before(gold: QuotaPolicy) -> None:
    called("acme", 100, 60)
    assert cuts.hits(gold, lowered(gold, 200)) == {}
    assert cuts.hits(gold, lowered(gold, 200, window_seconds=120)) == {}, "the old limit was passed by more"


def test_a_limit_of_the_whole_tenant_counts_its_actions_together(gold: QuotaPolicy, acme: Tenant) -> None:
    gold.limits.update(counted_per="tenant")
    for action in ("lookupOrder", "createCase"):
        called("acme", 1, 120, action_id=action, counted_for="")
    ((hit,),) = cuts.hits(gold, lowered(gold, 100, window_seconds=120)).values()
    assert (hit.peak.action_id, hit.peak.used) == ("", 240)


def test_a_limit_of_the_connection_counts_its_tenants_together_and_hits_each(acme: Tenant, globex: Tenant) -> None:
    policy = QuotaPolicy.objects.create(name="Shared")
    QuotaLimit.objects.create(policy=policy, name="minute", quota=100, window_seconds=60, counted_per="connection")
    Assignment.objects.create(policy=policy, target="default")
    for tenant_id in ("acme", "globex"):
        called(tenant_id, 1, 120, counted_for="")
    found = cuts.hits(policy, lowered(policy, 200, window_seconds=120))["minute"]
    assert sorted((hit.tenant.tenant_id, hit.peak.used) for hit in found) == [("acme", 240), ("globex", 240)]


def test_the_form_and_the_api_ask_before_a_lower_rate(gold: QuotaPolicy, acme: Tenant) -> None:
    bucket(gold, quota=600, burst=20)
    called("acme", 10, 120)
    client = Client()
    client.force_login(User.objects.create_superuser("root", password=None))
    page = f"/admin/limiter/quotapolicy/{gold.pk}/change/"
    asked = client.post(page, filled_form(client.get(page).content) | {"limits-0-quota": "300"}).content.decode()
    assert "More than 20 units would have been in use at once" in asked and f"{acme.name} · lookupOrder (600)" in asked
    line = {"name": "minute", "algorithm": "token_bucket", "quota": 300, "window_seconds": 60, "burst": 20}
    patch = {"limits": [line], "confirm_cut": False, "version": gold.version}
    response = editor().patch(f"/api/policies/{gold.pk}/", patch)
    hit = {"tenant": "acme", "action": "lookupOrder", "limit": "minute", "used": 600, "units": 20}
    assert (response.status_code, response.json()["cuts"]) == (409, [hit])
    assert gold.limits.get().quota == 600
