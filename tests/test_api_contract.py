"""The management API keeps to its OpenAPI document, whatever it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections

from limiter.models import Assignment, Override, QuotaPolicy
from tenants import credentials
from tenants.models import Tenant
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


@pytest.fixture
def rows(acme: Tenant, acme_key: str, base_policy: QuotaPolicy) -> dict[str, dict[str, Any]]:
    """One row of each resource -> how its path names it."""
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
        "actions": {"id": acme.actions.get().pk},
        "keys": {"prefix": credentials.prefix_of(acme_key)},
        "policies": {"id": base_policy.pk},
        "assignments": {"id": Assignment.objects.get().pk},
        "overrides": {"id": override.pk},
    }


@pytest.mark.parametrize(("method", "path"), operations("/api/"))
def test_every_response_is_as_documented(
    one_connection: None, rows: dict[str, dict[str, Any]], method: str, path: str
) -> None:
    row = rows.get(path.split("/")[2])
    seen = check(method, path, examples=4, headers={"Authorization": f"Token {token()}"}, row=row, app=APP)
    assert seen.total() >= 4
    assert not {401, 403} & set(seen)
