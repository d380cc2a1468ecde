"""What the live pages tell from the database."""

from __future__ import annotations

import pytest

from dashboard import stored
from limiter.record import chain, resets
from limiter.record.chain import Draft
from limiter.record.resets import Reset
from quota_platform.base.api.serializer import explain
from tenants.models import ApiKey, Tenant

pytestmark = pytest.mark.django_db


def told(tenant: str = "acme") -> list[str]:
    return [change["text"] for change in stored.read([tenant]).changes if change["kind"] in ("counter", "key")]


def test_a_reset_counter_is_among_what_changed(acme: Tenant, globex: Tenant) -> None:
    done = Reset("acme", "lookupOrder", "", "minute", "action", used=1_234, effective_limit=5_000)
    resets.note(done, actor="ana", reason="load test")
    resets.note(Reset("acme", "", "k1", "hour", "key", used=1, effective_limit=2), actor="ben", reason="mistake")
    assert told() == [
        "hour of key k1 reset from 1 of 2, by ben: mistake",
        "minute of lookupOrder reset from 1,234 of 5,000, by ana: load test",
    ]
    assert told("globex") == []


def test_a_revoked_key_is_among_what_changed(acme: Tenant) -> None:
    key, _ = ApiKey.objects.issue(name="IVR", tenant=acme)
    explain(key, "leaked")
    key.revoke()
    assert told() == ["API key IVR revoked: leaked"]


def test_an_entry_that_another_release_wrote_in_another_way_is_told_by_its_kind(acme: Tenant) -> None:
    chain.append([Draft("counter.reset", tenant_id="acme", actor="ana", payload={"reason": "load test"})])
    assert told() == ["counter.reset, by ana: load test"]
