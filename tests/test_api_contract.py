"""The management API keeps to its OpenAPI document, whatever it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections

from limiter.models import Assignment, Override, QuotaLimit, QuotaPolicy
from tenants.models import Action, ApiKey, Connection, Tenant
from tests.api_client import token
from tests.api_contract import check, operations

APP = get_wsgi_application()


@pytest.fixture
def one_connection() -> Iterator[None]:
    """Requests leave the database connection open, as those of Django's test client do: the test is one transaction."""
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    yield
    request_started.connect(close_old_connections)
    request_finished.connect(close_old_connections)


@pytest.fixture(scope="module")
def rows(rows_of_the_module: None) -> dict[str, dict[str, Any]]:
    """One row of each resource -> how its path names it."""
    connection = Connection(name="sandbox", is_sandbox=True, base_url="http://127.0.0.1:8801", client_id="demo-client")
    connection.set_client_secret("canary-client-secret")
    connection.save()
    acme = Tenant.objects.create(tenant_id="acme", name="Acme", connection=connection)
    policy = QuotaPolicy.objects.create(name="Base")
    QuotaLimit.objects.create(policy=policy, name="minute", quota=100, window_seconds=60)
    override = Override.objects.create(
        tenant=acme,
        effect="shadow",
        reason="x",
        starts_at=datetime(2030, 1, 1, tzinfo=UTC),
        ends_at=datetime(2031, 1, 1, tzinfo=UTC),
    )
    return {
        "tenants": {"tenant_id": "acme"},
        "connections": {"name": "sandbox"},
        "actions": {"id": Action.objects.create(tenant=acme, action_id="lookupOrder").pk},
        "keys": {"prefix": ApiKey.objects.issue(name="Acme IVR", tenant=acme)[0].prefix},
        "policies": {"id": policy.pk},
        "assignments": {"id": Assignment.objects.create(policy=policy, target=Assignment.Target.DEFAULT).pk},
        "overrides": {"id": override.pk},
    }


@pytest.fixture(scope="module")
def headers(rows: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {"Authorization": f"Token {token()}"}


@pytest.mark.parametrize("examples", [1, pytest.param(12, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("method", "path"), operations("/api/"))
def test_every_response_is_as_documented(
    db: None,
    one_connection: None,
    rows: dict[str, dict[str, Any]],
    headers: dict[str, str],
    method: str,
    path: str,
    examples: int,
) -> None:
    row = rows.get(path.split("/")[2])
    seen = check(method, path, examples=examples, headers=headers, row=row, app=APP)
    assert seen.total() >= examples
    assert not {401, 403} & set(seen)
