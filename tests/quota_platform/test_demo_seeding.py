"""The demo's rows: made once, never twice, and edits are left alone."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from limiter.alerts import dispatch
from limiter.models import AlertHook, Assignment, QuotaPolicy
from quota_platform.base import secrets
from quota_platform.demo import seeding, tokens
from tenants import credentials, scope
from tenants.models import Action, ApiKey, Connection, Membership, Tenant

pytestmark = pytest.mark.django_db

VARIABLES = {
    "SANDBOX_HOSTS": "127.0.0.1:8801",
    "SANDBOX_CLIENT_ID": "demo-client",
    "SANDBOX_CLIENT_SECRET": "canary-sandbox-secret",
    "DEMO_ADMIN_PASSWORD": "canary-admin-password",
    "DEMO_SUPERVISOR_PASSWORD": "canary-supervisor-password",
}


@pytest.fixture(scope="module")
def seeded(rows_of_the_module: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a demo whose rows are made; that takes longer than all tests of them."""
    var = tmp_path_factory.mktemp("seeded")
    seed(var)
    return var


@pytest.fixture(autouse=True)
def of_the_seeded_demo(seeded: Path, tmp_path: Path) -> None:
    """Each test begins with the demo seeded once, and has the tokens for itself."""
    shutil.copy(seeded / tokens.FILE, tmp_path)


def seed(var: Path) -> dict[str, str]:
    seeding.seed(VARIABLES, var=var)
    return tokens.read(var)


def counts() -> list[int]:
    models = (Connection, Tenant, Action, ApiKey, QuotaPolicy, Assignment, User, Membership)
    histories = (Connection.history, Tenant.history, QuotaPolicy.history)
    return [model._default_manager.count() for model in models] + [history.count() for history in histories]


def test_seeding_twice_changes_nothing(tmp_path: Path) -> None:
    first = seed(tmp_path)
    before = counts()
    assert seed(tmp_path) == first
    assert counts() == before


def test_acme_has_the_default_policy_and_nothing_else() -> None:
    default = Assignment.objects.get(target=Assignment.Target.DEFAULT).policy
    assert default.name == "Base"
    assert list(default.limits.values_list("name", "quota", "window_seconds", "algorithm", "counted_per")) == [
        ("minute", 100, 60, "sliding_log", "action")
    ]
    assert not Assignment.objects.filter(tenant__tenant_id="acme").exists()
    assert not Assignment.objects.filter(action__tenant__tenant_id="acme").exists()


def test_globex_has_a_plan_with_one_limit_of_each_kind() -> None:
    plan = Assignment.objects.get(tenant__tenant_id="globex").policy
    assert dict(plan.limits.values_list("name", "algorithm")) == {
        "burst": "token_bucket",
        "minute": "sliding_log",
        "day": "sliding_counter",
        "inflight": "concurrency",
    }


def test_globex_and_hooli_share_a_limit_of_the_connection() -> None:
    policy = QuotaPolicy.objects.get(name="Shared pool")
    actions = Assignment.objects.filter(policy=policy).values_list("action__tenant__tenant_id", "action__action_id")
    assert set(actions) == {("globex", "exportContacts"), ("hooli", "exportContacts")}
    pool = policy.limits.get(shared=True)
    assert (pool.name, pool.counted_per) == ("pool", "connection")
    assert policy.limits.get(name="minute").quota > pool.quota, "the pool refuses, and not each tenant's own limit"
    assert pool.quota >= 100, "from there on, tenants that get all that they want may be a little early"
    seats = Assignment.objects.filter(policy__name="Shared appointments", policy__reserve_seconds=5)
    assert set(seats.values_list("action__tenant__tenant_id", "action__action_id")) == {
        ("globex", "reserveSeat"),
        ("hooli", "reserveSeat"),
    }


def test_a_client_that_comes_for_its_appointment_meets_no_cut_and_no_burst_of_other_actions() -> None:
    for name in ("Appointments", "Shared appointments"):
        limits = QuotaPolicy.objects.get(name=name).limits
        assert not limits.filter(adaptive=True).exists()
        assert limits.get(name="inflight").counted_per == "action", (
            "in place of the one that all of Globex's calls fill"
        )


def test_the_connection_learns_its_pace_and_how_many_calls_its_unit_bears() -> None:
    row = Connection.objects.get(name="sandbox")
    assert (row.pace, row.learns_in_flight, row.shared) == (Connection.Pace.LEARN, True, True)
    plan = QuotaPolicy.objects.get(name="Globex plan")
    assert plan.adaptive and plan.min_multiplier == 1, "p95 is measured, and no cut hides the learned limit"


def test_a_contact_point_delivers_to_the_sink_of_this_start_until_a_person_changes_it(tmp_path: Path) -> None:
    seed(tmp_path)
    row = AlertHook.objects.get(name="Demo sink")
    assert (row.url, row.kind, row.tenant) == ("http://127.0.0.1:8801/sink/alerts", "hook", None)
    assert row.secret().startswith("whsec_")
    dispatch.look()
    found = set(row.deliveries.values_list("event", flat=True))
    assert {"key.created", "policy.published"} <= found, "it has something to show at once"
    AlertHook.objects.update(url="http://127.0.0.1:7/sink/alerts")  # the sandbox had another port
    seed(tmp_path)
    assert AlertHook.objects.get().url == "http://127.0.0.1:8801/sink/alerts"
    AlertHook.objects.update(url="https://hooks.example.com/mine")
    seed(tmp_path)
    assert AlertHook.objects.get().url == "https://hooks.example.com/mine"
    AlertHook.objects.get().delete()
    seed(tmp_path)
    assert not AlertHook.objects.exists()


def test_initech_is_suspended_and_out_of_the_platform_keys_reach(tmp_path: Path) -> None:
    kept = seed(tmp_path)
    assert Tenant.objects.get(tenant_id="initech").status == Tenant.Status.SUSPENDED
    key = ApiKey.objects.get(prefix=credentials.prefix_of(kept["platform"]))
    assert key.tenant is None
    assert sorted(key.acts_for.values_list("tenant_id", flat=True)) == ["acme", "globex"]


def test_every_kept_token_is_the_key_of_its_tenant(tmp_path: Path) -> None:
    for name, token in seed(tmp_path).items():
        key = ApiKey.objects.get(prefix=credentials.prefix_of(token))
        assert key.digest == credentials.digest(token)
        assert (key.tenant.tenant_id if key.tenant else "platform") == name


def test_kept_tokens_are_closed_to_others(seeded: Path) -> None:
    assert stat.S_IMODE((seeded / tokens.FILE).stat().st_mode) == 0o600


def test_a_revoked_key_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    first = seed(tmp_path)
    ApiKey.objects.get(prefix=credentials.prefix_of(first["acme"])).revoke()
    second = seed(tmp_path)
    assert second["acme"] != first["acme"]
    assert {**second, "acme": ""} == {**first, "acme": ""}


def test_lost_tokens_are_issued_again(tmp_path: Path) -> None:
    first = seed(tmp_path)
    (tmp_path / tokens.FILE).unlink()
    assert not set(first.values()) & set(seed(tmp_path).values())


def test_a_token_of_another_tenant_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    first = seed(tmp_path)
    (tmp_path / tokens.FILE).write_text(json.dumps({**first, "acme": first["globex"]}))
    assert seed(tmp_path)["acme"] not in first.values()


def test_an_edited_policy_is_left_as_it_was_edited(tmp_path: Path) -> None:
    seed(tmp_path)
    limit = QuotaPolicy.objects.get(name="Base").limits.get()
    limit.quota = 50
    limit.save()
    seed(tmp_path)
    assert QuotaPolicy.objects.get(name="Base").limits.get().quota == 50


def test_a_tenant_made_active_by_hand_stays_active(tmp_path: Path) -> None:
    seed(tmp_path)
    initech = Tenant.objects.get(tenant_id="initech")
    initech.status = Tenant.Status.ACTIVE
    initech.save()
    seed(tmp_path)
    initech.refresh_from_db()
    assert initech.status == Tenant.Status.ACTIVE


def test_the_connection_holds_the_sandboxs_secret_also_when_its_key_was_lost(tmp_path: Path) -> None:
    seed(tmp_path)
    row = Connection.objects.get(name="sandbox")
    row.client_secret_sealed = "v1:unreadable"
    row.save()
    seed(tmp_path)
    row.refresh_from_db()
    assert secrets.unseal(row.client_secret_sealed, purpose=row.sealed_for("client_secret")) == "canary-sandbox-secret"
    assert row.is_sandbox


def test_both_people_can_sign_in_and_the_supervisor_may_look_export_and_change_for_a_while() -> None:
    admin, supervisor = User.objects.get(username="admin"), User.objects.get(username="supervisor")
    assert admin.check_password("canary-admin-password")
    assert supervisor.check_password("canary-supervisor-password")
    assert admin.is_superuser
    assert supervisor.is_staff
    assert not supervisor.is_superuser
    assert supervisor.has_perm("limiter.view_quotapolicy")
    assert supervisor.has_perm("tenants.view_tenant")
    assert {name for name in supervisor.get_all_permissions() if ".view_" not in name} == {
        "limiter.add_override",
        "limiter.change_override",
        "limiter.add_teamentry",
        "limiter.add_export",
        "limiter.change_export",
        "limiter.add_reportschedule",
        "limiter.change_reportschedule",
        "limiter.delete_reportschedule",
        "limiter.reset_counter",
        "tenants.revoke_apikey",
        "tenants.add_apitoken",
        "tenants.change_apitoken",
    }


def test_the_supervisor_belongs_to_the_demo_s_tenants_until_somebody_changes_that(tmp_path: Path) -> None:
    seed(tmp_path)
    supervisor = User.objects.get(username="supervisor")
    assert scope.names_of(supervisor) == frozenset(["acme", "globex", "hooli", "initech"])
    Membership.objects.filter(tenant__tenant_id="globex").delete()
    supervisor.groups.clear()
    seed(tmp_path)
    assert set(Membership.objects.values_list("tenant__tenant_id", flat=True)) == {"acme", "hooli", "initech"}
    assert not supervisor.groups.exists()


def test_a_supervisor_of_an_earlier_demo_is_bound_to_its_tenants(tmp_path: Path) -> None:
    User.objects.filter(username="supervisor").delete()
    User.objects.create_user("supervisor")
    seed(tmp_path)
    assert scope.names_of(User.objects.get(username="supervisor")) == frozenset(["acme", "globex", "hooli", "initech"])


def test_the_demo_s_policies_are_in_their_first_version() -> None:
    assert {policy.version for policy in QuotaPolicy.objects.all()} == {1}


def test_the_command_needs_a_prepared_directory() -> None:
    with pytest.raises(Exception, match=r"demo\.env is not there"):
        call_command("seed_demo")
