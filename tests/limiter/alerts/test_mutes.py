"""A muted limit: its alerts start and end, messages of their starts wait for the end of the mute."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from limiter.alerts import mutes
from limiter.models import Alert, AlertDelivery, AlertHook
from limiter.policies.models import QuotaPolicy
from tenants.models import Tenant
from tests.limiter.alerts.given import forget, look, use

pytestmark = pytest.mark.django_db
ROW = ("acme", "lookupOrder", "minute")
NOW = timezone.now()


@pytest.fixture
def _hook(acme: Tenant, base_policy: QuotaPolicy) -> None:
    AlertHook.objects.create(name="On-call", url="https://hooks.example.com/", from_threshold=1)


def sent() -> list[tuple[int | None, str]]:
    rows = AlertDelivery.objects.order_by("pk").values_list("alert__threshold", "event")
    return [(threshold, event.partition(".")[2]) for threshold, event in rows]


@pytest.mark.usefixtures("_hook")
def test_starts_during_a_mute_are_sent_when_it_is_over_and_still_true(redis_url: str, acme: Tenant) -> None:
    mutes.put(ROW, until=NOW + timedelta(hours=1), by="ana", now=NOW)
    use(redis_url, acme, 95)
    assert look(now=NOW) == 2
    assert list(Alert.objects.values_list("muted", flat=True)) == [True, True]
    assert sent() == []
    forget(redis_url, acme, leaving=82)
    assert look(now=NOW) == 1  # the upper one ended, and nobody got its start
    assert sent() == []
    look(now=NOW + timedelta(hours=1))
    look(now=NOW + timedelta(hours=1))
    assert sent() == [(80, "started")]


@pytest.mark.usefixtures("_hook")
def test_ends_go_during_a_mute_to_those_that_got_the_start(redis_url: str, acme: Tenant) -> None:
    use(redis_url, acme, 80)
    look(now=NOW)
    mutes.put(ROW, until=NOW + timedelta(hours=1), by="ana", now=NOW)
    forget(redis_url, acme, leaving=0)
    look(now=NOW)
    assert sent() == [(80, "started"), (80, "ended")]


def test_another_limit_is_not_muted_and_old_mutes_are_pruned(db: None) -> None:
    mutes.put(ROW, until=NOW, by="ana", now=NOW - timedelta(hours=1))
    mutes.put(("acme", "", "day"), until=NOW + timedelta(hours=1), by="ana", now=NOW)
    assert set(mutes.active(["acme"], now=NOW)) == {("acme", "", "day")}
    assert mutes.prune(now=NOW + timedelta(seconds=1)) == 1
    assert not mutes.end(ROW, now=NOW)
