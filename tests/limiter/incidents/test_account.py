"""The account of an incident: cause with evidence, changes that concern the tenant and no others, acts, end, as PDF."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from pypdf import PdfReader

from limiter.demand import blocks
from limiter.demand.points import Calls, Demand
from limiter.incidents import account, following, pdf, team
from limiter.incidents.team import Wish
from limiter.models import AuditEntry, Incident, MultiplierChange, Override, QuotaLimit, QuotaPolicy
from limiter.policies.models.version import one_version
from tenants.models import Tenant
from tests.limiter.incidents.given import NOON, incident, minutes, refusal
from tests.people import member

pytestmark = pytest.mark.django_db


def entered(kind: str, at: float, *, tenant_id: str = "acme", **payload: Any) -> None:
    number = AuditEntry.objects.count() + 100
    AuditEntry.objects.create(
        tenant_id=tenant_id, position=number, kind=kind, at=minutes(at), actor="ana", payload=payload, hash="0"
    )


def story(**fields: Any) -> str:
    return " ".join(account.write(incident(**fields), now=minutes(5)).story)


def test_the_account_has_start_demand_callers_and_end(acme: Tenant) -> None:
    second = int(NOON.timestamp())
    calls = {second + 61: Calls(allowed=100, refused=40, held_back=1), second: Calls(allowed=3)}
    blocks.add(
        second, 3_600, {"acme": Demand({("lookupOrder", "ivr"): calls, ("createCase", ""): {second: Calls(900)}})}
    )
    by_key = {"ivr": 45, "chat": 2}
    text = story(last_at=minutes(4), ended_at=minutes(19), refusals=47, by_key=by_key, policy_version=3)
    assert text.split(" UTC ")[0] == "From 2030-05-02 12:00:00 to 2030-05-02 12:04:00"
    assert "47 calls of Acme were refused: minute · lookupOrder." in text
    assert "The limit of policy Base, version 3, allows 100." in text
    assert "In the busiest minute, 12:01 UTC, 141 calls came: 100 were allowed and 41 refused." in text
    assert "API key ivr made 96 % of the refused calls." in text
    assert text.endswith("It was over at 2030-05-02 12:19:00 UTC, when nothing had been refused for 15 minutes.")
    assert story(limit_name="hour").endswith("It lasts until nothing has been refused for 15 minutes.")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"effective_limit": 62, "p95_ms": 1410.4, "p95_samples": 80, "threshold_ms": 800.0},
            "cut to 62 of 100: the upstream's p95 was 1,410 ms over 80 calls, its threshold is 800 ms",
        ),
        ({"effective_limit": 62}, "It was cut to 62 of 100."),
        (
            {"effective_limit": 62, "p95_ms": 677.0, "p95_samples": 80, "threshold_ms": 800.0},
            "It was cut to 62 of 100. ",
        ),
        ({"limit_name": "(upstream)"}, "turned calls away (429)"),
        ({"limit_name": ""}, "The limiter's store was unavailable"),
        ({"limit_name": "(in flight)", "effective_limit": 8}, "its unit bears 8 calls in flight"),
        ({"limit_name": "(in flight)", "effective_limit": 1}, "its unit bears 1 call in flight."),
    ],
)
def test_the_cause_is_named_with_its_evidence(fields: dict[str, Any], said: str) -> None:
    assert said in story(**fields)


def test_a_share_of_a_worker_without_the_store_is_no_cut_by_the_upstream(db: None) -> None:
    refusal(0, multiplier=1.0, effective_limit=8, stream_id="1-1/alone/a", p95_ms=677.0, threshold_ms=800.0)
    following.take_new(now=minutes(1))
    said = " ".join(account.write(Incident.objects.get(), now=minutes(5)).story)
    assert "store was unavailable: each worker then decided by its own share of the limit, 8 of 100 at" in said
    assert "p95" not in said and "cut" not in said


def test_a_cut_after_pushback_names_the_429s(db: None) -> None:
    evidence = {"p95_ms": 100.0, "threshold_ms": 800.0, "samples": 80, "pushed_back": 0.125}
    MultiplierChange.objects.create(stream_id="1", at=minutes(-1), tenant_id="acme", before=1, after=0.5, **evidence)
    assert "cut to 50 of 100, since the upstream turned 12.5 % of calls away (429)" in story(effective_limit=50)


def test_a_changed_policy_is_named_with_the_values_before_and_after(acme: Tenant) -> None:
    policy = QuotaPolicy.objects.create(name="Base")
    line = QuotaLimit.objects.create(policy=policy, name="minute", quota=200, window_seconds=60)
    with one_version("Spare the unit"):
        line.quota = 100
        line.save()
    then = QuotaPolicy.history.latest("history_id").history_date
    row = incident(at=then + timedelta(minutes=10), last_at=then + timedelta(minutes=11))
    found = account.write(row, now=then + timedelta(minutes=12)).before[-1]
    assert (found.words, found.reason) == ("Policy changed", "Spare the unit")
    assert [(each.old, each.new) for each in found.details] == [("200", "100")]
    other = incident(policy_name="Gold", limit_name="hour", at=row.at, last_at=row.last_at)
    assert "Policy changed" not in [change.words for change in account.write(other, now=row.last_at).before]


def test_only_changes_that_concern_the_tenant_are_named(acme: Tenant, globex: Tenant) -> None:
    entered("override.created", -61, name="too early")
    entered("override.created", -59, name="raised", reason="campaign")
    entered("counter.reset", 1, limit_name="minute", reason="asked by Ben")
    entered("key.revoked", 1, tenant_id="globex", name="globex-key")
    entered("events", -1, refusals=3)
    before, after = {"base_url": "https://a.example"}, {"base_url": "https://b.example", "version": 4}
    entered("connection.changed", -3, tenant_id="", id=acme.connection_id, name="unit", before=before, after=after)
    entered("connection.changed", -2, tenant_id="", id=acme.connection_id + 1, name="globex-unit")
    entered("assignment.changed", -2, tenant_id="", name="", before={"policy_id": 1}, after={"policy_id": 2})
    entered("assignment.created", -1, tenant_id="", name="all", before={}, after={"target": "default"})
    written = account.write(incident(), now=minutes(5))
    assert [change.name for change in written.before] == ["raised", "unit", "all"]
    assert [(each.field, each.old, each.new) for each in written.before[1].details] == [
        ("base_url", "https://a.example", "https://b.example")
    ]
    assert [(change.words, change.name, change.by) for change in written.during] == [("Counter reset", "minute", "ana")]
    assert "3 changes concerned this tenant" in " ".join(written.story)


def test_an_assignment_is_named_by_its_policy_also_by_one_that_was_deleted(acme: Tenant) -> None:
    gone = QuotaPolicy.objects.create(name="Gold")
    after = {"target": "tenant", "policy_id": gone.pk}
    gone.delete()
    entered("assignment.created", -1, name="", before={}, after=after)
    assert [change.name for change in account.write(incident(), now=minutes(5)).before] == ["Gold"]


def test_an_override_that_ana_makes_during_it_is_there(acme: Tenant) -> None:
    override = Override(tenant=acme, effect="shadow", ends_at=minutes(90), starts_at=minutes(1), reason="Campaign")
    override.save()
    at = AuditEntry.objects.get(kind="override.created").at
    row = incident(limit_name="hour", at=at - timedelta(minutes=1), last_at=at)
    during = account.write(row, now=at + timedelta(minutes=1)).during
    assert {(change.words, change.name, change.reason) for change in during} >= {
        ("Action created", "lookupOrder", ""),
        ("Override created", "", "Campaign"),
    }


def test_the_pdf_has_the_account_and_needs_no_escaping_of_ours(acme: Tenant) -> None:
    ana: User = member("ana", acme)
    row = incident(by_key={"ivr": 40}, by_action={"lookupOrder": 40}, refusals=40)
    team.act(row, Wish("handed_over", "p95 <b>high & rising</b>", to="ana"), person=ana)
    entered("override.created", -5, name="raised", reason="<campaign>")
    row.refresh_from_db()
    text = " ".join(page.extract_text() for page in PdfReader(BytesIO(pdf.write(row))).pages)
    for said in (
        "40 calls of Acme were refused",
        "raised, by ana: <campaign>",
        "Owner: ana",
        "p95 <b>high & rising</b>",
    ):
        assert said in " ".join(text.split())
