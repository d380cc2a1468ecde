"""What the live pages tell of changes: codes with parameters, who did it and why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from dashboard import changes, stored
from dashboard.policy_changes import Line
from limiter.policies.models import Assignment, Override, QuotaLimit, QuotaPolicy
from limiter.policies.models.version import one_version
from limiter.record import chain, resets
from limiter.record.chain import Draft
from limiter.record.models import MultiplierChange
from limiter.record.resets import Reset
from quota_platform.base.api.serializer import explain
from tenants.models import ApiKey, Tenant

pytestmark = pytest.mark.django_db


def data(*kinds: str, tenant: str = "acme") -> list[Line]:
    found = [change for change in stored.read([tenant]).changes if change["kind"] in kinds]
    return [{name: value for name, value in change.items() if name not in ("at_ms", "kind")} for change in found]


def test_a_reset_counter_is_among_what_changed(acme: Tenant, globex: Tenant) -> None:
    done = Reset("acme", "lookupOrder", "", "minute", "action", used=1_234, effective_limit=5_000)
    resets.note(done, actor="ana", reason="load test")
    resets.note(Reset("acme", "", "k1", "hour", "key", used=1, effective_limit=2), actor="ben", reason="mistake")
    of_key = {"limit": "hour", "key": "k1", "action": "", "used": 1, "effective": 2, "by": "ben", "why": "mistake"}
    of_action = {"limit": "minute", "key": "", "action": "lookupOrder", "used": 1_234, "effective": 5_000}
    assert data("counter", "key") == [
        {"code": "change.reset_of_key", **of_key},
        {"code": "change.reset", **of_action, "by": "ana", "why": "load test"},
    ]
    assert data("counter", "key", tenant="globex") == []


def test_a_revoked_key_is_among_what_changed(acme: Tenant) -> None:
    key, _ = ApiKey.objects.issue(name="IVR", tenant=acme)
    explain(key, "leaked")
    key.revoke()
    assert data("key") == [{"code": "change.revoked", "key": "IVR", "by": "", "why": "leaked"}]


def test_an_entry_of_another_release_in_another_form_is_named_by_its_kind(acme: Tenant) -> None:
    chain.append([Draft("counter.reset", tenant_id="acme", actor="ana", payload={"reason": "load test"})])
    assert data("counter") == [{"code": "change.other", "entry": "counter.reset", "by": "ana", "why": "load test"}]


RESET = {"tenant_id": "acme", "action_id": "", "key_prefix": "", "limit_name": "hour", "counted_per": "tenant"}
COUNTS = {"used": 1, "effective_limit": 2, "reason": "test"}


@pytest.mark.parametrize(
    ("kind", "payload"),
    [("counter.reset", {**RESET, **COUNTS}), ("key.revoked", {"id": 7, "name": "IVR", "reason": "test"})],
)
def test_an_entry_of_a_newer_release_is_not_half_understood(acme: Tenant, kind: str, payload: dict[str, Any]) -> None:
    for more in ({}, {"zone": "b"}, {"v": 2}):
        chain.append([Draft(kind, tenant_id="acme", actor="ana", payload={**payload, **more})])
    newer, with_more, today = (line["code"] for line in data("counter", "key"))
    assert newer == "change.other" and with_more == today != newer


def test_an_override_is_shown_with_effect_end_author_and_reason(acme: Tenant) -> None:
    now = timezone.now()
    Override.objects.create(
        tenant=acme,
        effect="factor",
        factor=2.0,
        starts_at=now - timedelta(minutes=1),
        ends_at=now + timedelta(hours=1),
        reason="launch",
        created_by="ana",
    )
    (line,) = data("override")
    assert (line["code"], line["tenant"], line["factor"]) == ("change.override_factor", acme.name, 2.0)
    assert (line["action"], line["limit"], line["by"], line["why"]) == ("", "", "ana", "launch")


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"before": 1.0, "after": 0.62}, "change.cut_slow"),
        ({"before": 1.0, "after": 0.8, "p95_ms": 300.0, "pushed_back": 0.2}, "change.cut_pushed_back"),
        ({"before": 0.62, "after": 0.8}, "change.cut_less"),
        ({"before": 0.62, "after": 1.0}, "change.cut_ended"),
        ({"before": 0.62, "after": 1.0, "samples": 0}, "change.cut_over"),
        ({"before": 0.62, "after": 1.0, "samples": 3, "p95_ms": 0.0}, "change.cut_over"),
        ({"before": 0.62, "after": 0.8, "p95_ms": 0.0, "pushed_back": 0.2}, "change.cut_pushed_back_less"),
    ],
)
def test_a_cut_is_shown_with_its_reason(acme: Tenant, values: dict[str, float], code: str) -> None:
    about = {"tenant_id": "acme", "at": timezone.now(), "p95_ms": 1410.0, "samples": 100, "threshold_ms": 800.0}
    (line,) = changes.of_multipliers([MultiplierChange(**{**about, **values})], [acme])
    assert (line["code"], line["upstream"]) == (code, acme.connection.name)
    assert line["p95"] == (values.get("p95_ms", 1410.0) or None)  # never 0 for one that is unknown


def test_an_edited_policy_is_shown_with_its_numbers_to_those_it_applies_to(acme: Tenant, globex: Tenant) -> None:
    policy = QuotaPolicy.objects.create(name="Gold")
    limit = QuotaLimit.objects.create(policy=policy, name="minute", quota=100, window_seconds=60)
    Assignment.objects.create(policy=policy, target="tenant", tenant=acme)
    limit.quota = 40
    limit.save()
    newest = data("policy")[0]
    assert (newest["code"], newest["policy"], newest["version"]) == ("change.policy_limit", "Gold", 3)
    assert (newest["limit"], newest["before"], newest["after"]) == ("minute", 100, 40)
    limit.window_seconds = 3_600
    limit.save()
    newest = data("policy")[0]
    moved = [newest[name] for name in ("code", "before", "window_before", "after", "window_after")]
    assert moved == ["change.policy_window", 40, 60, 40, 3_600]
    assert [each["code"] for each in data("policy")][-1] == "change.policy_made"
    assert data("policy", tenant="globex") == []


def test_a_change_of_a_limit_that_the_tenant_s_own_one_replaces_does_not_concern_it(
    acme: Tenant, globex: Tenant
) -> None:
    base, gold = QuotaPolicy.objects.create(name="Base"), QuotaPolicy.objects.create(name="Gold")
    Assignment.objects.create(policy=base, target="default")
    minute = QuotaLimit.objects.create(policy=base, name="minute", quota=100, window_seconds=60)
    Assignment.objects.create(policy=gold, target="tenant", tenant=acme)
    QuotaLimit.objects.create(policy=gold, name="minute", quota=600, window_seconds=60)
    minute.quota = 50
    minute.save()
    newest = data("policy", tenant="globex")[0]
    assert (newest["limit"], newest["before"], newest["after"]) == ("minute", 100, 50)
    assert "change.policy_limit" not in [each["code"] for each in data("policy", tenant="acme")]
    with one_version(reason="a day's limit, too"):
        day = QuotaLimit.objects.create(policy=base, name="day", quota=9, window_seconds=86_400)
    with one_version(reason="both"):
        for limit in (minute, day):
            limit.quota += 1
            limit.save()
    assert [(each["limit"], each["more"]) for each in data("policy", tenant="acme") if "limit" in each] == [("day", 0)]
    assert data("policy", tenant="globex")[0]["more"] == 1


def test_marks_of_a_chart_are_those_of_its_time(acme: Tenant) -> None:
    resets.note(Reset("acme", "", "k1", "hour", "key", used=1, effective_limit=2), actor="ben", reason="mistake")
    now = int(timezone.now().timestamp())
    assert [line["code"] for line in changes.between("acme", now - 60, now + 60)] == ["change.reset_of_key"]
    assert changes.between("acme", now - 120, now - 60) == changes.between("globex", now - 60, now + 60) == []
