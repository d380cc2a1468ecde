"""Overrides in the admin: a reason and an end, who made it, and where it stands in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from limiter.models import Override, QuotaPolicy
from tenants.models import Action, Tenant
from tests.filled_form import as_seen
from tests.unrendered import errors

pytestmark = pytest.mark.django_db
LIST, ADD = "/admin/limiter/override/", "/admin/limiter/override/add/"


@pytest.fixture
def root(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password=None))
    return client


def typed(owner: Tenant, **fields: Any) -> dict[str, Any]:
    """A form that is right unless ``fields`` make it wrong."""
    usual = {
        "tenant": owner.pk,
        "effect": "factor",
        "factor": "2",
        "starts_at_0": "2099-05-01",
        "starts_at_1": "09:00:00",
        "ends_at_0": "2099-05-01",
        "ends_at_1": "17:00:00",
        "reason": "campaign",
    }
    return usual | fields


def test_an_override_keeps_who_made_it(root: Client, acme: Tenant) -> None:
    assert root.post(ADD, typed(acme)).status_code == 302
    override = Override.objects.get()
    assert (override.created_by, override.reason, override.factor) == ("root", "campaign", 2)
    assert override.ends_at == datetime(2099, 5, 1, 17, tzinfo=UTC)


def test_a_later_edit_does_not_change_who_made_it(root: Client, acme: Tenant) -> None:
    row = Override.objects.create(
        tenant=acme, effect="shadow", ends_at=timezone.now() + timedelta(days=1), reason="cutover", created_by="ana"
    )
    page = f"{LIST}{row.pk}/change/"
    root.post(page, typed(acme, reason="longer cutover") | as_seen(root, page))
    row.refresh_from_db()
    assert (row.reason, row.created_by) == ("longer cutover", "ana")


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"reason": ""}, "reason"),
        ({"reason": "x" * 256}, "reason"),
        ({"ends_at_0": "", "ends_at_1": ""}, "ends_at"),
        ({"ends_at_0": "2099-05-01", "ends_at_1": "09:00:00"}, "ends_at"),
        ({"ends_at_0": "2001-01-01"}, "ends_at"),
        ({"ends_at_0": "yesterday"}, "ends_at"),
        ({"starts_at_0": "0000-00-00"}, "starts_at"),
        ({"factor": ""}, "factor"),
        ({"factor": "0"}, "factor"),
        ({"factor": "-1"}, "factor"),
        ({"factor": "101"}, "factor"),
        ({"factor": "nan"}, "factor"),
        ({"factor": "1e999"}, "factor"),
        ({"quota": "5"}, "quota"),
        ({"effect": "quota", "factor": "", "quota": "5"}, "limit_name"),
        ({"effect": "quota", "factor": "", "quota": "0", "limit_name": "minute"}, "quota"),
        ({"effect": "quota", "factor": "", "quota": "9" * 40, "limit_name": "minute"}, "quota"),
        ({"effect": "shadow"}, "factor"),
        ({"effect": "explode"}, "effect"),
        ({"limit_name": "No Such Name!"}, "limit_name"),
        ({"tenant": ""}, "tenant"),
        ({"action": "globex"}, "action"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_wrong_input_is_reported_at_its_field(
    root: Client, acme: Tenant, globex: Tenant, fields: dict[str, str], wrong: str
) -> None:
    if fields.get("action") == "globex":
        fields = {"action": str(Action.objects.get(tenant=globex).pk)}
    assert wrong in errors(root, ADD, typed(acme, **fields))
    assert not Override.objects.exists()


@pytest.fixture
def three(acme: Tenant) -> None:
    now = timezone.now()
    for reason, starts, ends in (("tomorrow", 24, 48), ("today", -1, 1), ("yesterday", -48, -24)):
        Override.objects.create(
            tenant=acme,
            effect="shadow",
            starts_at=now + timedelta(hours=starts),
            ends_at=now + timedelta(hours=ends),
            reason=reason,
        )


@pytest.mark.parametrize(("state", "reason"), [("planned", "tomorrow"), ("active", "today"), ("ended", "yesterday")])
def test_the_list_tells_and_filters_by_where_each_stands_in_time(
    root: Client, three: None, state: str, reason: str
) -> None:
    listed = root.get(LIST, {"state": state}).context["cl"]
    assert [(row.reason, row.state_at(timezone.now()).value) for row in listed.result_list] == [(reason, state)]
    assert root.get(LIST).context["cl"].result_count == 3


def test_an_override_ends_at_its_end_and_not_after() -> None:
    start, end = datetime(2026, 5, 1, 9, tzinfo=UTC), datetime(2026, 5, 1, 17, tzinfo=UTC)
    row = Override(starts_at=start, ends_at=end)
    states = [row.state_at(at).value for at in (start - timedelta.resolution, start, end - timedelta.resolution, end)]
    assert states == ["planned", "active", "active", "ended"]


def test_the_limit_of_an_override_is_typed_as_a_rate_of_its_window(
    root: Client, acme: Tenant, base_policy: QuotaPolicy
) -> None:
    of = {"effect": "quota", "factor": "", "limit_name": "minute"}
    assert root.post(ADD, typed(acme, **of, quota="250 per minute")).status_code == 302
    assert Override.objects.get().quota == 250
    assert errors(root, ADD, typed(acme, **of, quota="250 per hour")) == {
        "quota": ["The limit counts per 1 minute: give its units for this span."]
    }
    assert root.post(ADD, typed(acme, **of, quota="260")).status_code == 302
    assert set(Override.objects.values_list("quota", flat=True)) == {250, 260}
    assert b"a rate such as 100 per minute" in root.get(ADD).content
