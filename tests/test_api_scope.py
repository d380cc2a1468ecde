"""A person of Acme over the management API: nothing of Globex is there, whatever is asked, and nothing reaches it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, reverse
from django.utils import timezone
from rest_framework.test import APIClient

from limiter.models import (
    Alert,
    AlertDelivery,
    AlertHook,
    Assignment,
    AuditEntry,
    Export,
    Incident,
    MultiplierChange,
    Override,
    QuotaLimit,
    QuotaPolicy,
    ReportSchedule,
    TeamEntry,
    ThrottleEvent,
    UsageMinute,
)
from tenants.models import Action, ApiKey, ApiToken, Connection, Membership, Tenant
from tests.api_client import ANY, signed_in
from tests.limiter.incidents.given import incident
from tests.limiter.reports.given import event
from tests.people import member
from tests.test_api_access import ROUTES, SAMPLES, _url

FOREIGN = b"globex"
"""In every name of Globex's rows, and in nobody else's."""


@pytest.fixture(scope="module")
def acme(rows_of_the_module: None) -> Tenant:
    sandbox = Connection.objects.create(name="sandbox", is_sandbox=True, base_url="http://127.0.0.1:8801")
    return Tenant.objects.create(tenant_id="acme", name="Acme", connection=sandbox)


@pytest.fixture(scope="module")
def anas(acme: Tenant) -> APIClient:
    """Of Acme, with every right. Made once: 150 tests look at these rows, and few change any."""
    give(acme, "acme")
    unit = Connection.objects.create(name="globex-unit", preset="cxone")
    give(Tenant.objects.create(tenant_id="globex", name="Globex", connection=unit), "globex")
    give_everyone()
    return signed_in(member("ana", acme))


@pytest.fixture
def ana(anas: APIClient, db: None) -> APIClient:
    """Her token was used a moment ago, as in :func:`token_of`, however long the tests before this one took."""
    ApiToken.objects.update(last_used_at=timezone.now())
    return anas


def give(tenant: Tenant, name: str) -> None:
    """One row of every kind, with the tenant's name in it."""
    now = timezone.now()
    action = Action.objects.create(tenant=tenant, action_id=f"{name}-action")
    ApiKey.objects.issue(name=f"{name}-key", tenant=tenant)
    policy = QuotaPolicy.objects.create(name=f"Plan of {'A' if name == 'acme' else 'B'}")
    QuotaLimit.objects.create(policy=policy, name="minute", quota=5, window_seconds=60)
    Assignment.objects.create(policy=policy, target="tenant", tenant=tenant)
    Assignment.objects.create(policy=policy, target="action", action=action)
    Override.objects.create(tenant=tenant, effect="shadow", ends_at=now + timedelta(hours=1), reason=f"{name}-reason")
    event(
        1 if name == "acme" else 2, tenant_id=name, action_id=f"{name}-action", decision_id=f"{name}-decision", at=now
    )
    AuditEntry.objects.create(tenant_id=name, position=10_000, kind="test", at=now, hash="0", actor=f"{name}-person")
    UsageMinute.objects.create(tenant_id=name, action_id=f"{name}-action", start=now, allowed=1)
    evidence = {"before": 1.0, "after": 0.5, "p95_ms": 1410.0, "samples": 100, "threshold_ms": 800.0}
    numbers = {"threshold": 80, "used": 80, "effective_limit": 100, "policy_version": 1}
    Alert.objects.create(at=now, tenant_id=name, action_id=f"{name}-action", limit_name="minute", **numbers)
    incident(tenant_id=name, action_id=f"{name}-action", by_key={f"{name}-key": 1})
    TeamEntry.objects.create(tenant_id=name, by=f"{name}-person", kind="note", text=f"{name}-note")
    MultiplierChange.objects.create(stream_id=name, at=now, tenant_id=name, **evidence)
    hook = AlertHook(name=f"{name}-hook", tenant=tenant, url=f"https://hooks.example.com/{name}")
    hook.renew_secret()
    hook.save()
    AlertDelivery.objects.create(hook=hook, event="alert.test", body=f'{{"tenant": "{name}"}}')
    owner = User.objects.create_user(f"{name}-owner", is_staff=True)
    span = {"since": now - timedelta(days=1), "until": now}
    Export.objects.create(kind="events", format="jsonl", requested_by=owner, tenants=[name], **span)
    ReportSchedule.objects.create(name=f"{name}-report", kind="usage", format="jsonl", owner=owner)


def give_everyone() -> None:
    base = QuotaPolicy.objects.create(name="Base")
    QuotaLimit.objects.create(policy=base, name="minute", quota=100, window_seconds=60)
    Assignment.objects.create(policy=base, target="default")
    AuditEntry.objects.create(
        tenant_id="", position=10_000, kind="test", at=timezone.now(), hash="0", actor="globex-boss"
    )
    key, _ = ApiKey.objects.issue(name="globex-platform")
    key.acts_for.set(Tenant.objects.all())


def foreign() -> dict[str, dict[str, Any]]:
    """How an address of Globex's row is made, by the name of the route."""
    return {
        "api-tenant": {"tenant_id": "globex"},
        "api-connection": {"name": "globex-unit"},
        "api-action": {"id": Action.objects.get(action_id="globex-action").pk},
        "api-key": {"prefix": ApiKey.objects.get(name="globex-key").prefix},
        "api-assignment": {"id": Assignment.objects.get(tenant__tenant_id="globex").pk},
        "api-override": {"id": Override.objects.get(tenant__tenant_id="globex").pk},
        "api-event": {"id": ThrottleEvent.objects.get(tenant_id="globex").pk},
        "api-incident": {"id": Incident.objects.get(tenant_id="globex").pk},
        "api-team-entry": {"id": TeamEntry.objects.get(tenant_id="globex").pk},
        "api-alert": {"id": Alert.objects.get(tenant_id="globex").pk},
        "api-decision": {"decision_id": "globex-decision"},
        "api-alert-hook": {"id": AlertHook.objects.get(tenant__tenant_id="globex").pk},
        "api-alert-delivery": {"id": AlertDelivery.objects.get(hook__tenant__tenant_id="globex").pk},
        "api-export": {"id": Export.objects.get(requested_by__username="globex-owner").pk},
        "api-report-schedule": {"id": ReportSchedule.objects.get(owner__username="globex-owner").pk},
    }


OF_EVERYBODY = "api-policy-"
"""Policies are everybody's to read; who may change one has tests of its own."""


def route_of(pattern: URLPattern) -> str:
    """The resource of a route, as :func:`foreign` names it; "" for one that nobody has given a foreign row."""
    named = [route for route in foreign() if str(pattern.name).startswith(f"{route}-")]
    return max(named, key=len, default="")


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else bytes(response.content)


LISTS = [pattern for pattern in ROUTES if not pattern.pattern.regex.groupindex]
ROWS = [pattern for pattern in ROUTES if pattern.pattern.regex.groupindex]


@pytest.mark.parametrize("pattern", LISTS, ids=lambda pattern: str(pattern.name))
def test_no_list_shows_anything_of_another_tenant(ana: APIClient, pattern: URLPattern) -> None:
    url = reverse(str(pattern.name))
    for query in ("", "?search=globex", "?tenant=globex", "?page_size=500"):
        response = ana.get(url + query)
        assert response.status_code in (200, 400)
        assert FOREIGN not in body(response).replace(b"tenant=globex", b"").replace(b"search=globex", b"")


def test_every_route_of_a_row_is_asked_for_one_of_another_tenant(ana: APIClient) -> None:
    without = [str(pattern.name) for pattern in ROWS if not route_of(pattern)]
    assert [name for name in without if not name.startswith(OF_EVERYBODY)] == []


@pytest.mark.parametrize("pattern", ROWS, ids=lambda pattern: str(pattern.name))
@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "post"])
def test_another_tenants_row_is_answered_as_one_that_is_not_there(
    ana: APIClient, pattern: URLPattern, method: str
) -> None:
    given = {name: SAMPLES.get(name, "999999") for name in pattern.pattern.regex.groupindex}
    url = reverse(str(pattern.name), kwargs={**given, **foreign().get(route_of(pattern), {})})
    before = snapshot()
    response = getattr(ana, method)(url, {})
    assert response.status_code in (404, 405)
    assert response.json()["detail"] in (
        NOT_THERE.get(str(pattern.name), "Not found."),
        NO_METHOD.format(method.upper()),
    )
    assert snapshot() == before


NO_METHOD = 'Method "{}" not allowed.'
NOT_THERE = {
    "api-decision-detail": "No refusal is kept under this decision ID. It may not be stored yet: try again"
    " in a few seconds."
}
"""What the routes say of a row that does not exist."""


def snapshot() -> list[Any]:
    models = (Tenant, Connection, Action, ApiKey, QuotaPolicy, QuotaLimit, Assignment, Override, AlertHook, Export)
    return [list(model._default_manager.order_by("pk").values()) for model in models]


def soon() -> str:
    return (timezone.now() + timedelta(hours=1)).isoformat()


WRITES: list[tuple[str, dict[str, Any], int]] = [
    ("actions", {"tenant": "globex", "action_id": "x"}, 400),
    ("keys", {"tenant": "globex", "name": "x"}, 400),
    ("keys", {"tenant": None, "name": "platform", "acts_for": ["acme"]}, 403),
    ("keys", {"tenant": None, "name": "platform", "acts_for": ["globex"]}, 400),
    ("assignments", {"policy": "Base", "target": "action", "action": "globex/globex-action"}, 400),
    ("overrides", {"tenant": "globex", "effect": "shadow", "reason": "x"}, 400),
    ("overrides", {"tenant": "acme", "action": "globex/globex-action", "effect": "shadow", "reason": "x"}, 400),
    ("tenants", {"tenant_id": "globex", "name": "x", "connection": "sandbox"}, 403),
    ("tenants", {"tenant_id": "new", "name": "x", "connection": "sandbox"}, 403),
    ("connections", {"name": "globex-unit", "preset": "cxone"}, 403),
]


@pytest.mark.parametrize(("route", "fields", "status"), WRITES, ids=lambda value: str(value)[:60])
def test_rows_for_a_stranger_or_the_platform_cannot_be_created(
    ana: APIClient, route: str, fields: dict[str, Any], status: int
) -> None:
    before = snapshot()
    if route == "overrides":
        fields = {**fields, "ends_at": soon()}
    assert ana.post(f"/api/{route}/", fields).status_code == status
    assert snapshot() == before


def test_the_default_assignment_can_be_read_and_not_changed(ana: APIClient) -> None:
    default = Assignment.objects.get(target="default")
    url = f"/api/assignments/{default.pk}/"
    assert ana.get(url).json()["target"] == "default"
    assert ana.patch(url, {"policy": "Plan of A"}).status_code == 403
    assert ana.delete(url).status_code == 403
    default.delete()
    assert ana.post("/api/assignments/", {"policy": "Base", "target": "default"}).status_code == 403
    assert not Assignment.objects.filter(target="default").exists()


def test_rows_cannot_be_moved_to_a_stranger(ana: APIClient) -> None:
    own = Assignment.objects.get(tenant__tenant_id="acme")
    assert ana.patch(f"/api/assignments/{own.pk}/", {"tenant": "globex"}).status_code == 400
    assert ana.patch(f"/api/assignments/{own.pk}/", {"target": "default", "tenant": None}).status_code in (400, 403)
    override = Override.objects.get(tenant__tenant_id="acme")
    assert ana.patch(f"/api/overrides/{override.pk}/", {"tenant": "globex"}).status_code == 400
    assert ana.patch("/api/tenants/acme/", {"connection": "globex-unit"}).status_code == 400
    own.refresh_from_db()
    assert (own.target, Override.objects.get(pk=override.pk).tenant.tenant_id) == ("tenant", "acme")


def test_a_renamed_tenant_would_read_another_ones_record(ana: APIClient) -> None:
    response = ana.patch("/api/tenants/acme/", {"tenant_id": "globex"})
    assert response.status_code == 400 and "already" not in response.content.decode()
    assert ana.patch("/api/tenants/acme/", {"name": "Acme Ltd"}).status_code == 200


@pytest.mark.parametrize(("name", "status"), [("Plan of A", 200), ("Plan of B", 403), ("Base", 403)])
def test_a_policy_that_reaches_strangers_is_read_and_not_changed(ana: APIClient, name: str, status: int) -> None:
    policy = QuotaPolicy.objects.get(name=name)
    url = f"/api/policies/{policy.pk}/"
    assert ana.get(url).status_code == 200
    change = {"limits": [{"name": "minute", "quota": 9, "window_seconds": 60}]}
    assert ana.patch(url, change, headers=ANY).status_code == status
    assert policy.limits.get().quota == (9 if status == 200 else 5 if name == "Plan of B" else 100)


def test_a_person_of_a_tenant_runs_it(ana: APIClient) -> None:
    """The checks do not refuse people their own rows."""
    assert ana.post("/api/actions/", {"tenant": "acme", "action_id": "mine"}).status_code == 201
    assert ana.post("/api/keys/", {"tenant": "acme", "name": "mine"}).status_code == 201
    policy = {"name": "Mine", "limits": [{"name": "minute", "quota": 9, "window_seconds": 60}]}
    assert ana.post("/api/policies/", policy).status_code == 201
    given = {"policy": "Mine", "target": "action", "action": "acme/mine"}
    assert ana.post("/api/assignments/", given).status_code == 201
    raised = {"tenant": "acme", "effect": "factor", "factor": 2, "ends_at": soon(), "reason": "x"}
    assert ana.post("/api/overrides/", raised).status_code == 201
    assert [row["tenant_id"] for row in ana.get("/api/tenants/").json()["results"]] == ["acme"]
    assert {row["tenant_id"] for row in ana.get("/api/events/").json()["results"]} == {"acme"}
    assert ana.get("/api/decisions/acme-decision/").status_code == 200


def test_rows_of_a_tenant_are_gone_with_the_membership(ana: APIClient) -> None:
    Membership.objects.filter(user__username="ana").delete()
    for route in ("tenants", "actions", "keys", "overrides", "events", "connections"):
        assert ana.get(f"/api/{route}/").json()["results"] == []
    assert ana.get("/api/tenants/acme/").status_code == 404


@pytest.mark.parametrize("route", ["tenants", "actions", "keys", "connections", "assignments", "overrides", "events"])
def test_the_queries_of_a_list_do_not_grow_with_tenants_or_rows(ana: APIClient, acme: Tenant, route: str) -> None:
    def queries() -> int:
        with CaptureQueriesContext(database) as captured:
            assert ana.get(f"/api/{route}/").status_code == 200
        return len(captured)

    user = User.objects.get(username="ana")
    few = queries()
    for number in range(12):
        tenant = Tenant.objects.create(tenant_id=f"t{number}", name="T", connection=acme.connection)
        Membership.objects.create(user=user, tenant=tenant)
        Action.objects.create(tenant=tenant, action_id="x")
        ApiKey.objects.issue(name="x", tenant=tenant)
        Override.objects.create(tenant=tenant, effect="shadow", ends_at=timezone.now() + timedelta(1), reason="x")
    assert queries() == few


def test_a_stranger_with_every_right_and_no_tenant_finds_nothing_at_all(ana: APIClient) -> None:
    nobody = signed_in(member("nobody"))
    for pattern in LISTS:
        assert b"acme" not in body(nobody.get(_url(pattern)))
