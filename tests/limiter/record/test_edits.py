"""Edits, keys, overrides and sign-ins enter the record as they happen."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from limiter.core import keys
from limiter.models import AuditEntry, MultiplierChange, Override, QuotaPolicy
from limiter.policies.models.version import one_version
from limiter.record import keeping, multipliers, overrides
from limiter.record.drain import drain
from limiter.record.scripts import Client
from limiter.record.verify import verify
from tenants.models import ApiKey, Connection, Tenant
from tests.filled_form import as_seen

pytestmark = pytest.mark.django_db


def entries(kind: str) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(kind=kind).order_by("pk"))


def test_an_edit_of_a_policy_says_what_changed_from_what_and_why(base_policy: QuotaPolicy) -> None:
    with one_version("slow upstream"):
        base_policy.latency_threshold_ms = 500
        base_policy.save()
    entry = entries("policy.changed")[-1]
    assert entry.tenant_id == ""
    assert entry.payload["before"] == {"version": 2, "latency_threshold_ms": 800}
    assert entry.payload["after"] == {"version": 3, "latency_threshold_ms": 500}
    assert entry.payload["reason"] == "slow upstream"
    assert [e.payload["name"] for e in entries("limit.created")] == ["minute"]


def test_a_person_s_edit_names_the_person(admin_user: User, acme: Tenant) -> None:
    browser = Browser()
    browser.force_login(admin_user)
    row = ApiKey.objects.issue(name="Acme IVR", tenant=acme)[0]
    url = reverse("admin:tenants_apikey_revoke")
    browser.post(url, {"key": row.pk, **as_seen(browser, f"{url}?key={row.pk}")})
    (entry,) = entries("key.revoked")
    assert (entry.actor, entry.tenant_id, entry.payload["name"]) == ("root", "acme", "Acme IVR")


def test_no_secret_enters_the_record(acme: Tenant) -> None:
    row, token = ApiKey.objects.issue(name="Acme IVR", tenant=acme)
    connection = Connection.objects.get()
    written = str(list(AuditEntry.objects.values_list("payload", flat=True)))
    assert "Acme IVR" in written and "sandbox" in written
    for secret in (token, row.digest, connection.client_secret_sealed):
        assert secret and secret not in written


def test_an_edit_that_is_taken_back_leaves_no_entry(acme: Tenant) -> None:
    before = AuditEntry.objects.count()
    with transaction.atomic():
        acme.name = "Other"
        acme.save()
        transaction.set_rollback(True)
    assert AuditEntry.objects.count() == before


def test_an_override_s_start_and_end_are_entered_once_each_however_often_it_is_looked(acme: Tenant) -> None:
    now = timezone.now()
    override = Override.objects.create(
        tenant=acme, effect="factor", factor=2, starts_at=now, ends_at=now + timedelta(hours=1), reason="campaign"
    )
    assert [overrides.note(now=now + timedelta(minutes=m)) for m in (-1, 1, 2, 61, 62)] == [0, 1, 0, 1, 0]
    (started,), (ended,) = entries("override.started"), entries("override.ended")
    assert (started.at, ended.at, started.tenant_id) == (override.starts_at, override.ends_at, "acme")
    assert started.payload["reason"] == "campaign" and len(entries("override.created")) == 1


def test_sign_ins_are_entered_and_a_mistyped_password_is_not(admin_user: User) -> None:
    login: dict[str, Any] = {"path": reverse("account_login")}
    browser = Browser()
    browser.post(**login, data={"username": "root", "password": "wrong"})
    browser.post(**login, data={"username": "a-long-test-password", "password": "root"})
    browser.post(**login, data={"username": "root", "password": "a-long-test-password"})
    browser.post(reverse("admin:logout"))
    assert [entry.actor for entry in entries("sign_in.refused")] == ["root", ""]
    assert [entry.actor for entry in entries("sign_in") + entries("sign_out")] == ["root", "root"]
    assert "a-long-test-password" not in str(list(AuditEntry.objects.values_list("payload", "actor")))


def test_changes_of_multipliers_are_stored_with_their_evidence_and_chained(client: Client) -> None:
    stream = multipliers.of(client, 1)
    content: dict[Any, Any] = {
        "tenant": "acme",
        "action": "",
        "samples": 100,
        "threshold_us": 800_000,
        "pushback": 250_000,
    }
    for at, before, after in ((1, 1_000_000, 620_000), (2, 620_000, 1_000_000)):
        client.xadd(stream.name, {**content, "at": at, "before": before, "after": after, "p95_us": 1_410_000})
    assert drain(stream, multipliers.write) == 2
    first = MultiplierChange.objects.order_by("at")[0]
    assert (first.before, first.after, first.p95_ms, first.threshold_ms) == (1.0, 0.62, 1410.0, 800.0)
    assert (first.samples, first.pushed_back) == (100, 0.25)
    assert [entry.payload["after"] for entry in entries("multiplier")] == [0.62, 1.0]


def shown(client: Client, whose: str, evidence: str) -> None:
    """As ``adapt.lua`` keeps it, with its mark."""
    client.hset(keys.evidence(1), whose, evidence)
    client.zadd(keys.cut(1), {whose: 121_000_000 if "121000000" in evidence else 2**52 if "|" in evidence else 0})


def test_only_multipliers_whose_end_has_come_are_read(client: Client, monkeypatch: Any) -> None:
    for number in range(500):
        client.hset(keys.evidence(1), f"t{number}|", "1000000|1000000|300000|100|800000|0|1|2")
    shown(client, "acme|", f"620000|1000000|1410000|100|800000|0|1000000|{2**52}")
    shown(client, "globex|", "620000|1000000|1410000|100|800000|0|1000000|121000000")
    read: list[Any] = []
    hmget = client.hmget
    monkeypatch.setattr(client, "hmget", lambda name, fields: read.__iadd__(fields) and hmget(name, fields))
    assert [multipliers.note_lapses(client, 1) for _ in range(2)] == [1, 0]
    assert read == [b"globex|"]


def test_a_multiplier_that_ended_by_itself_is_noted_once_at_its_end(client: Client) -> None:
    client.sadd(keys.connections(), 1)
    lasting = str(2**52)
    for tenant, evidence in (
        ("acme", "620000|1000000|1410000|100|800000|0|1000000|121000000"),
        ("globex", f"620000|1000000|1410000|100|800000|0|1000000|{lasting}"),
        ("umbrella", "1000000|1000000|300000|100|800000|0|1000000|121000000"),
    ):
        shown(client, f"{tenant}|lookupOrder", evidence)
    assert [keeping.store_all(client) for _ in range(2)] == [1, 0]
    (change,) = MultiplierChange.objects.all()
    assert (change.tenant_id, change.action_id, change.before, change.after) == ("acme", "lookupOrder", 0.62, 1.0)
    assert (change.at.timestamp(), change.threshold_ms, change.samples) == (121.0, 800.0, 0)
    kept = client.hget(keys.evidence(1), "acme|lookupOrder")
    assert kept == b"1000000|1000000|1410000|100|800000|0|1000000|121000000", "its evidence is still shown"


def test_evidence_of_another_release_is_noted_as_far_as_it_is_understood(client: Client) -> None:
    client.sadd(keys.connections(), 1)
    for tenant, evidence in (
        ("acme", "620000|1000000|1410000|100|800000|0|1000000|121000000|7|new"),
        ("globex", "=2=620000|1000000"),
        ("umbrella", "soon"),
    ):
        shown(client, f"{tenant}|", evidence)
    assert [keeping.store_all(client) for _ in range(2)] == [1, 0]
    (change,) = MultiplierChange.objects.all()
    assert (change.tenant_id, change.before, change.at.timestamp(), change.threshold_ms) == ("acme", 0.62, 121.0, 800.0)


def test_a_multiplier_that_was_computed_anew_meanwhile_has_not_ended(client: Client, monkeypatch: Any) -> None:
    ended, anew = "620000|1000000|1|5|800000|0|1|2", f"500000|1000000|1|5|800000|0|3|{2**52}"
    shown(client, "acme|", anew)
    client.zadd(keys.cut(1), {"acme|": 2})
    monkeypatch.setattr(client, "hmget", lambda *_, **__: [ended.encode()])
    assert multipliers.note_lapses(client, 1) == 0
    assert client.xlen(keys.multiplier_changes(1)) == 0


def test_all_kinds_of_entries_verify_as_they_are_read_back(
    acme: Tenant, base_policy: QuotaPolicy, client: Client
) -> None:
    now = timezone.now()
    Override.objects.create(tenant=acme, effect="factor", factor=0.1, ends_at=now + timedelta(hours=1), reason="é☎")
    ApiKey.objects.issue(name="Acme IVR", tenant=acme)[0].revoke()
    overrides.note(now=now + timedelta(seconds=1))
    base_policy.sensitivity = 0.3
    base_policy.save()
    acme.api_keys.all().delete()
    checked = verify()
    assert checked.chains == 2 and checked.entries == AuditEntry.objects.count() > 8
