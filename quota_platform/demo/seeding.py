"""The demo's rows. Seeding twice changes nothing, and what a person edited in between is left as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from django.contrib.auth.models import Group, User
from django.db import transaction
from django.utils import timezone

from limiter.alerts.event_types import choosable
from limiter.alerts.models import AlertHook
from limiter.core.types import CountedPer
from limiter.policies.models import Assignment, QuotaLimit, QuotaPolicy
from limiter.policies.models.version import one_version
from quota_platform.base import secrets
from quota_platform.demo import cast, environment, tokens
from tenants import credentials
from tenants.models import Action, ApiKey, Connection, Membership, Tenant

BASE_LIMITS: tuple[dict[str, object], ...] = ({"name": "minute", "quota": 100, "window_seconds": 60},)
GLOBEX_LIMITS: tuple[dict[str, object], ...] = (
    {
        "name": "burst",
        "algorithm": "token_bucket",
        "quota": 20,
        "window_seconds": 1,
        "burst": 40,
        "counted_per": CountedPer.TENANT,
    },
    {"name": "minute", "quota": 600, "window_seconds": 60},
    {
        "name": "day",
        "algorithm": "sliding_counter",
        "quota": 100_000,
        "window_seconds": 86_400,
        "counted_per": CountedPer.TENANT,
        "adaptive": False,
    },
    {
        "name": "inflight",
        "algorithm": "concurrency",
        "quota": 25,
        "counted_per": CountedPer.TENANT,
    },
)
OWN_SLOTS: dict[str, object] = {"name": "inflight", "algorithm": "concurrency", "quota": 40, "adaptive": False}
"""Of an action, in place of its tenant's: no burst of the others refuses a client that comes for its appointment."""
HERD_LIMITS: tuple[dict[str, object], ...] = (
    {"name": "rate", "algorithm": "token_bucket", "quota": 2, "window_seconds": 1, "burst": 2, "adaptive": False},
    OWN_SLOTS,
)
SHARED_HERD_LIMITS: tuple[dict[str, object], ...] = (
    {
        "name": "seats",
        "algorithm": "token_bucket",
        "quota": 2,
        "window_seconds": 1,
        "burst": 2,
        "counted_per": CountedPer.CONNECTION,
        "shared": True,
        "adaptive": False,
    },
    OWN_SLOTS,
)
SHARED_LIMITS: tuple[dict[str, object], ...] = (
    {"name": "minute", "quota": 600, "window_seconds": 60},  # so that the pool refuses, and not Base
    {
        "name": "pool",
        "quota": 120,
        "window_seconds": 60,
        "counted_per": CountedPer.CONNECTION,
        "shared": True,
        "adaptive": False,
    },
)


SINK = "Demo sink"


@dataclass(frozen=True, slots=True)
class Seeded:
    """The rows found or made, in one line for the console."""

    tenants: int
    new_keys: int

    def __str__(self) -> str:
        return f"{self.tenants} tenants, {self.new_keys} new API keys"


def seed(variables: Mapping[str, str], *, var: Path) -> Seeded:
    """Create the missing rows. ``variables`` are those of :mod:`quota_platform.demo.environment`.

    The tokens of new keys go to ``var``, where :mod:`quota_platform.demo.tokens` keeps them.
    """
    kept = tokens.read(var)
    with transaction.atomic(), one_version("The demo's first policies."):
        _contact_point(environment.sink_url(variables))
        connection = _connection(variables)
        tenants = {member.tenant_id: _tenant(member, connection) for member in cast.MEMBERS}
        _policies(globex=tenants[cast.GLOBEX.tenant_id], hooli=tenants[cast.HOOLI.tenant_id])
        live = _keys(tenants, kept)
        _people(variables, tenants.values())
    tokens.write(var, live)
    return Seeded(tenants=len(tenants), new_keys=len(set(live.items()) - set(kept.items())))


def _connection(variables: Mapping[str, str]) -> Connection:
    base_url = f"http://{environment.sandbox_address(variables)}"
    row = Connection.objects.filter(name="sandbox").first() or Connection(
        name="sandbox",
        preset="cxone_webaction",
        is_sandbox=True,
        pace=Connection.Pace.LEARN.value,
        learns_in_flight=True,
        shared=True,
        client_id=variables["SANDBOX_CLIENT_ID"],
    )
    if row.pk and row.base_url == base_url and _opens_to(row, variables["SANDBOX_CLIENT_SECRET"]):
        return row
    row.base_url = base_url
    row.set_client_secret(variables["SANDBOX_CLIENT_SECRET"])
    row.full_clean()
    row.save()
    return row


def _contact_point(url: str) -> None:
    """It delivers every event to the sandbox's sink, wherever that is now. One that was deleted stays so.

    It is there first, so that it gets the keys and policies of the demo.
    """
    row = AlertHook.objects.filter(name=SINK).first()
    if row is None and AlertHook.history.filter(name=SINK).exists():
        return
    if row is None:
        row = AlertHook(name=SINK, url=url, events=list(choosable()), created_by="seed_demo")
        row.renew_secret()
    elif row.url == url or not row.url.endswith(environment.SINK_PATH):
        return
    row.url = url
    row.save()


def _opens_to(row: Connection, plain: str) -> bool:
    try:
        return secrets.unseal(row.client_secret_sealed, purpose=row.sealed_for("client_secret")) == plain
    except secrets.SecretUnreadable:
        return False


def _tenant(member: cast.CastMember, connection: Connection) -> Tenant:
    tenant = Tenant.objects.filter(tenant_id=member.tenant_id).first()
    if tenant is None:
        tenant = Tenant(tenant_id=member.tenant_id, name=member.name, connection=connection)
        tenant.status = Tenant.Status.SUSPENDED if member.suspended else Tenant.Status.ACTIVE
        tenant.full_clean()
        tenant.save()
    for action_id in member.actions:
        _action(tenant, action_id)
    return tenant


def _action(tenant: Tenant, action_id: str) -> Action:
    action = tenant.actions.filter(action_id=action_id).first()
    if action is None:
        action = Action(tenant=tenant, action_id=action_id)
        action.full_clean()
        action.save()
    return action


def _policies(*, globex: Tenant, hooli: Tenant) -> None:
    base = _policy("Base", "Everyone's: 100 calls of each action in any 60 seconds.", BASE_LIMITS)
    plan = _policy(
        "Globex plan",
        "A rate with bursts, a bigger minute, a daily volume, 25 at once. Never cut: the connection learns how many"
        " calls its unit bears.",
        GLOBEX_LIMITS,
        min_multiplier=1.0,
    )
    _assign(base, target=Assignment.Target.DEFAULT)
    _assign(plan, target=Assignment.Target.TENANT, tenant=globex)
    herd = _policy(
        "Appointments", "Two calls a second; a refused client finds its unit held.", HERD_LIMITS, reserve_seconds=5
    )
    _assign_action(herd, _action(globex, cast.HERD_ACTION))
    shared = _policy("Shared pool", "120 calls a minute, shared fairly by the tenants of the unit.", SHARED_LIMITS)
    seats = _policy(
        "Shared appointments",
        "Two calls a second, shared by the tenants of the unit; a refused client finds its unit held.",
        SHARED_HERD_LIMITS,
        reserve_seconds=5,
    )
    for tenant in (globex, hooli):
        _assign_action(shared, _action(tenant, cast.SHARED_ACTION))
        _assign_action(seats, _action(tenant, cast.SHARED_HERD_ACTION))


def _policy(name: str, description: str, limits: tuple[dict[str, object], ...], **more: object) -> QuotaPolicy:
    policy = QuotaPolicy.objects.filter(name=name).first()
    if policy is not None:
        return policy
    policy = QuotaPolicy(name=name, description=description, **more)
    policy.full_clean()
    policy.save()
    for fields in limits:
        limit = QuotaLimit(policy=policy, **fields)
        limit.full_clean()
        limit.save()
    return policy


def _assign_action(policy: QuotaPolicy, action: Action) -> None:
    if not Assignment.objects.filter(target=Assignment.Target.ACTION, action=action).exists():
        assignment = Assignment(policy=policy, target=Assignment.Target.ACTION, action=action)
        assignment.full_clean()
        assignment.save()


def _assign(policy: QuotaPolicy, *, target: Assignment.Target, tenant: Tenant | None = None) -> None:
    if not Assignment.objects.filter(target=target, tenant=tenant).exists():
        assignment = Assignment(policy=policy, target=target, tenant=tenant)
        assignment.full_clean()
        assignment.save()


def _keys(tenants: Mapping[str, Tenant], kept: Mapping[str, str]) -> dict[str, str]:
    live = {
        tenant_id: _token(kept.get(tenant_id, ""), name=f"{tenant.name} demo", tenant=tenant)
        for tenant_id, tenant in tenants.items()
    }
    served = [tenants[member.tenant_id] for member in cast.MEMBERS if member.served]
    live[cast.PLATFORM] = _token(kept.get(cast.PLATFORM, ""), name="Demo platform", acts_for=served)
    return live


def _token(kept: str, *, name: str, tenant: Tenant | None = None, acts_for: list[Tenant] | None = None) -> str:
    """The kept token while its key still works, or a new one."""
    if kept and _works(kept, tenant):
        return kept
    key, token = ApiKey.objects.issue(name=name, tenant=tenant, created_by="seed_demo")
    key.acts_for.set(acts_for or [])
    return token


def _works(token: str, tenant: Tenant | None) -> bool:
    key = ApiKey.objects.filter(prefix=credentials.prefix_of(token), tenant=tenant, revoked_at=None).first()
    if key is None or key.digest != credentials.digest(token):
        return False
    return key.expires_at is None or key.expires_at > timezone.now()


def _people(variables: Mapping[str, str], tenants: Iterable[Tenant]) -> None:
    _person(cast.ADMIN, variables["DEMO_ADMIN_PASSWORD"], superuser=True)
    supervisor = _person(cast.SUPERVISOR, variables["DEMO_SUPERVISOR_PASSWORD"], superuser=False)
    if not Membership.history.filter(user=supervisor).exists():
        # Migrating has created the group with its permissions.
        supervisor.groups.add(Group.objects.get_or_create(name="Supervisor")[0])
        for tenant in tenants:
            Membership.objects.create(user=supervisor, tenant=tenant, added_by="seed_demo", reason="The demo's cast.")


def _person(username: str, password: str, *, superuser: bool) -> User:
    """The account; its password is put back to the printed one, or the printed sign-in would be a lie."""
    user, made = User.objects.get_or_create(
        username=username, defaults={"is_staff": True, "is_superuser": superuser, "email": f"{username}@example.com"}
    )
    if made or not user.check_password(password):
        user.set_password(password)
        user.save()
    return user
