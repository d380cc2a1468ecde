"""Policies from a preset: NICE's published limits, made in the admin, over the API or by the command."""

from __future__ import annotations

import io

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client as Browser

from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from limiter.policies import presets
from limiter.policies.compiled import compile_policy
from limiter.policies.presets import NICE_DIGITAL_ENGAGEMENT
from tests.api_client import editor, errors, person

pytestmark = pytest.mark.django_db
PAGE = "/admin/limiter/quotapolicy/presets/"
API = "/api/policies/presets/"
NICE = {"preset": "nice-digital-engagement"}
PUBLISHED = {
    # units, seconds, burst: docs/policies.md#coupled-limits
    "contact-updates": (1_000_000, 3600, None),
    "outbound": (6_000, 60, None),
    "inbound": (360_000, 3600, None),
    "contact-reads": (120_000, 3600, None),
    "contact": (17, 60, 250),
}
COUPLED = {
    "outbound": {"contact-updates", "outbound"},
    "inbound": {"contact-updates", "inbound"},
    "updates": {"contact-updates", "contact"},
    "reads": {"contact-reads"},
}


def made() -> dict[str, set[str]]:
    rows = QuotaLimit.objects.values_list("policy__name", "name")
    found: dict[str, set[str]] = {}
    for policy, limit in rows:
        found.setdefault(policy.removeprefix("digital-engagement-"), set()).add(limit)
    return found


def test_nice_s_published_limits_are_made_as_they_are_coupled() -> None:
    presets.make(NICE_DIGITAL_ENGAGEMENT, reason="go-live")
    assert made() == COUPLED
    for line in QuotaLimit.objects.all():
        assert (line.quota, line.window_seconds, line.burst) == PUBLISHED[line.name]
        assert (line.counted_per, line.adaptive) == ("connection", False)
    assert {line.name: line.counted_by for line in QuotaLimit.objects.exclude(counted_by="")} == {
        "contact": "/contactId"
    }
    for policy in QuotaPolicy.objects.all():
        assert policy.version == 1
        assert policy.history.get().history_change_reason == "go-live"
        compile_policy(policy, policy.limits.all())
    assert not Assignment.objects.exists()


def test_a_name_that_is_taken_makes_nothing_and_is_named() -> None:
    QuotaPolicy.objects.create(name="digital-engagement-reads")
    with pytest.raises(presets.NamesTaken, match=r"names already: digital-engagement-reads. Edit, rename"):
        presets.make(NICE_DIGITAL_ENGAGEMENT)
    assert QuotaPolicy.objects.count() == 1


def test_the_admin_shows_the_preset_makes_it_and_leads_to_the_list(admin_client: Browser) -> None:
    button = admin_client.get("/admin/limiter/quotapolicy/").context["actions_list"][0]
    assert button["path"] == PAGE
    shown = admin_client.get(PAGE).content.decode()
    assert "outbound: at most 6,000 units in any minute for each connection" in shown
    assert "for each value of /contactId" in shown
    done = admin_client.post(PAGE, {**NICE, "change_reason": "go-live"}, follow=True)
    assert "4 policies were made" in done.content.decode()
    assert made() == COUPLED
    again = admin_client.post(PAGE, NICE)
    assert "There are policies of these names already" in again.content.decode()
    assert QuotaPolicy.objects.count() == 4


def test_the_api_lists_the_presets_and_makes_one() -> None:
    api = editor()
    (listed,) = api.get(API).json()["presets"]
    assert (listed["name"], len(listed["policies"])) == ("nice-digital-engagement", 4)
    created = api.post(API, {**NICE, "reason": "go-live"})
    assert created.status_code == 201
    assert made() == COUPLED
    first = created.json()["policies"][0]
    row = api.get(f"/api/policies/{first['id']}/").json()
    assert [line["name"] for line in row["limits"]] == ["contact-updates", "outbound"]
    assert "names already" in errors(api.post(API, NICE))["preset"][0]


@pytest.mark.parametrize(
    ("body", "field"), [({"preset": "nice"}, "preset"), ({}, "preset"), ({**NICE, "name": "x"}, "name")]
)
def test_a_wrong_order_names_its_field(body: dict[str, str], field: str) -> None:
    assert field in errors(editor().post(API, body))
    assert not QuotaPolicy.objects.exists()


def test_somebody_who_may_only_read_policies_makes_none(client: Browser) -> None:
    reader = person("limiter.view_quotapolicy", "limiter.view_quotalimit")
    assert reader.get(API).status_code == 200
    assert reader.post(API, NICE).status_code == 403
    half = person("limiter.view_quotapolicy", "limiter.view_quotalimit", "limiter.add_quotapolicy", name="bo")
    assert half.post(API, NICE).status_code == 403
    user = User.objects.get(username="bo")
    user.is_staff = True
    user.save()
    client.force_login(user)
    assert client.get(PAGE).status_code == 403
    assert client.post(PAGE, NICE).status_code == 403
    assert not QuotaPolicy.objects.exists()


def test_the_command_lists_and_makes() -> None:
    out = io.StringIO()
    call_command("apply_policy_preset", stdout=out)
    call_command("apply_policy_preset", "nice-digital-engagement", "--reason", "go-live", stdout=out)
    assert "nice-digital-engagement: NICE CXone Digital Engagement" in out.getvalue()
    assert out.getvalue().count("made policy") == 4
    with pytest.raises(CommandError, match="names already"):
        call_command("apply_policy_preset", "nice-digital-engagement")
