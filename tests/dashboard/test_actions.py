"""Actions from a tenant's page: confirmed first, done in a person's name, ended, taken back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from limiter.models import Override
from tenants.models import Tenant
from tests.people import member

START = "/dashboard/api/actions/overrides/"
ASKED: dict[str, Any] = {
    "tenant": "acme",
    "kind": "increase",
    "action": "lookupOrder",
    "limit": "minute",
    "factor": 2,
    "minutes": 15,
    "reason": "Launch day",
}


@pytest.fixture
def root(client: Client, admin_user: User, acme: Tenant) -> Client:
    client.force_login(admin_user)
    return client


def post(client: Client, body: dict[str, Any], url: str = START) -> Any:
    return client.post(url, body, content_type="application/json")


def test_the_effect_is_shown_and_nothing_is_done_before_it_is_confirmed(root: Client) -> None:
    data = post(root, ASKED).json()["effect"]
    assert data.startswith("Acme, lookupOrder: limit minute is multiplied by 2 for 15 minutes, until ")
    assert not Override.objects.exists()


def test_a_confirmed_increase_is_in_the_persons_name_and_ends(root: Client) -> None:
    assert post(root, {**ASKED, "confirm": True}).status_code == 200
    override = Override.objects.get()
    assert (override.created_by, override.reason, override.factor) == ("root", "Launch day", 2)
    assert override.ends_at - override.starts_at == timedelta(minutes=15)


def test_an_override_can_be_taken_back(root: Client) -> None:
    undo = post(root, {**ASKED, "confirm": True}).json()["undo"]
    before = Override.objects.get().ends_at
    assert post(root, {}, undo).status_code == 200
    assert Override.objects.get().ends_at < before


def test_shadow_refuses_nobody_and_says_so(root: Client) -> None:
    assert "refuses nobody" in post(root, {**ASKED, "kind": "shadow"}).json()["effect"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": " "},
        {"minutes": 0},
        {"minutes": 100_000},
        {"minutes": "soon"},
        {"factor": -1},
        {"factor": "much"},
        {"factor": "nan"},
        {"factor": None},
        {"kind": "delete"},
        {"action": "noSuchAction"},
    ],
)
def test_an_override_that_makes_no_sense_is_refused_with_a_reason(root: Client, wrong: dict[str, Any]) -> None:
    response = post(root, {**ASKED, **wrong, "confirm": True})
    assert response.status_code == 400
    assert response.json()["detail"]
    assert not Override.objects.exists()


@pytest.mark.parametrize("right", [None, "view_tenant", "add_override"])
def test_without_both_rights_nothing_is_shown_or_done(client: Client, acme: Tenant, right: str | None) -> None:
    person = User.objects.create_user("stranger", password="a-long-test-password")
    person.user_permissions.set(Permission.objects.filter(codename=right))
    client.force_login(person)
    assert post(client, {**ASKED, "confirm": True}).status_code == 403
    assert not Override.objects.exists()


def test_a_stranger_takes_nothing_back(root: Client) -> None:
    undo = post(root, {**ASKED, "confirm": True}).json()["undo"]
    before = Override.objects.get().ends_at
    root.force_login(User.objects.create_user("stranger", password="a-long-test-password"))
    assert post(root, {}, undo).status_code == 403
    assert Override.objects.get().ends_at == before


def test_a_person_of_another_tenant_neither_acts_nor_takes_back(root: Client, globex: Tenant) -> None:
    undo = post(root, {**ASKED, "confirm": True}).json()["undo"]
    before = Override.objects.get().ends_at
    root.force_login(member("gil", globex))
    assert post(root, {**ASKED, "confirm": True}).status_code == 403
    assert post(root, {}, undo).status_code == 404
    assert Override.objects.get().ends_at == before


@pytest.mark.parametrize(("without", "status"), [((), 200), (("change_override",), 403)])
def test_another_persons_override_is_ended_with_the_right_to_change_it(
    root: Client, acme: Tenant, without: tuple[str, ...], status: int
) -> None:
    undo = post(root, {**ASKED, "confirm": True}).json()["undo"]
    root.force_login(member("ana", acme, without=without))
    assert post(root, {}, undo).status_code == status


def test_ones_own_override_is_ended_without_the_right_to_change_it(root: Client, acme: Tenant) -> None:
    root.force_login(member("ana", acme, without=("change_override",)))
    undo = post(root, {**ASKED, "confirm": True}).json()["undo"]
    assert post(root, {}, undo).status_code == 200


def test_another_sites_form_cannot_start_an_override(admin_user: User, acme: Tenant) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    assert post(client, {**ASKED, "confirm": True}).status_code == 403
    assert not Override.objects.exists()


def test_an_increase_is_asked_about_again_when_somebody_else_started_one_meanwhile(root: Client) -> None:
    seen = post(root, ASKED).json()["seen"]
    post(root, {**ASKED, "reason": "Somebody else's", "confirm": True})
    again = post(root, {**ASKED, "confirm": True, "seen": seen})
    assert again.status_code == 409 and "Already in force: " in again.json()["detail"]
    assert Override.objects.count() == 1
    assert post(root, {**ASKED, "confirm": True, "seen": again.json()["seen"]}).status_code == 200
    assert Override.objects.count() == 2


def test_an_override_that_somebody_changed_meanwhile_is_not_taken_back_unseen(root: Client) -> None:
    started = post(root, {**ASKED, "confirm": True}).json()
    Override.objects.update(factor=5)
    refused = post(root, {"seen": started["seen"]}, started["undo"])
    assert refused.status_code == 409 and "5" in refused.json()["detail"]
    override = Override.objects.get()
    assert override.ends_at - override.starts_at == timedelta(minutes=15)
    assert post(root, {"seen": refused.json()["seen"]}, started["undo"]).status_code == 200
    ended = Override.objects.get()
    assert (ended.factor, ended.ends_at < override.ends_at) == (5, True)
