"""How far an edit has come, by the workers' heartbeats."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import Client

from limiter.gateway import rollout
from limiter.gateway.rollout import Rollout
from limiter.models import QuotaLimit, QuotaPolicy
from quota_platform.base import changes
from tests.api_client import editor, errors
from tests.filled_form import filled_form
from tests.limiter.gateway.conftest import Gateway


def beat(seq: int, *applied: tuple[int, float]) -> dict[str, Any]:
    return {"snapshot": {"seq": seq, "applied": [list(each) for each in applied]}}


def test_an_edit_is_live_on_the_workers_that_took_it_in_and_timed_by_the_last_of_them() -> None:
    beats = [beat(9, (7, 100.2), (9, 103.0)), beat(8, (8, 100.84))]
    assert rollout.of(7, 100.0, beats) == Rollout(workers=2, live=2, seconds=0.8)
    assert rollout.of(9, 102.0, beats) == Rollout(workers=2, live=1, seconds=None)


def test_a_worker_that_began_later_or_is_of_another_release_has_no_time() -> None:
    assert rollout.of(7, 100.0, [beat(7), beat(7, (7, 100.5))]) == Rollout(2, 2, 0.5)
    assert rollout.of(7, 100.0, [beat(7)]) == rollout.of(7, None, [beat(7, (7, 1.0))]) == Rollout(1, 1, None)
    assert rollout.of(7, 100.0, []) == Rollout(0, 0, None)


def raised_in_the_admin(client: Client, page: str) -> int:
    """Save a policy's form with another number; the number of the edit that the page then asks about."""
    form = filled_form(client.get(page).content) | {"limits-0-quota": "150"}
    saved = client.post(page, form, follow=True).content.decode()
    return int(saved.partition('data-change="')[2].partition('"')[0])


@pytest.mark.django_db(transaction=True)
async def test_a_saved_policy_is_followed_to_every_worker(
    gateway: Gateway, base_policy: QuotaPolicy, admin_client: Client
) -> None:
    page = f"/admin/limiter/quotapolicy/{base_policy.pk}/change/"
    change = await sync_to_async(raised_in_the_admin)(admin_client, page)
    assert change == await sync_to_async(changes.latest_id)()
    await gateway.runtime.gateway.snapshot.reached(change)
    await gateway.runtime.heartbeat.report()
    found = (await sync_to_async(admin_client.get)(f"/api/rollout/?change={change}")).json()
    assert (found["change"], found["workers"], found["live"]) == (change, 1, 1)
    assert found["seconds"] >= 0
    assert (await sync_to_async(admin_client.get)("/api/rollout/")).json() == found
    assert await sync_to_async(QuotaLimit.objects.get)(policy=base_policy, quota=150)


@pytest.mark.django_db
def test_a_number_that_is_none_is_refused_at_its_parameter() -> None:
    api = editor()
    User.objects.update(is_staff=True)
    for wrong in ("newest", "-1", "0", "9" * 30):
        response = api.get(f"/api/rollout/?change={wrong}")
        assert (response.status_code, list(errors(response))) == (400, ["change"])
