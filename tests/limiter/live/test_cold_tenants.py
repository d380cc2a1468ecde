"""Tenants that a worker does not hold: loaded together, over sessions that stay open, whatever their number."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from django.core.cache import cache
from django.db.backends.signals import connection_created
from django.db.models.signals import post_init

from limiter.live.shared_cache import _key
from limiter.live.snapshot import DirectoryUnavailable, Missing, Snapshot
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from tenants.models import Action, ApiKey, Connection, Tenant
from tests.limiter.workers import Meanwhile, aside, counted, worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url")]
pytest_plugins = ["tests.database_faults"]

MANY = 60


@pytest.fixture
def many(connection: Connection, base_policy: QuotaPolicy) -> list[Tenant]:
    """Tenants that each have an action, a policy of their own and a key."""
    tenants = [Tenant(tenant_id=f"t{number}", name="T", connection=connection) for number in range(MANY)]
    Tenant.objects.bulk_create(tenants)
    Action.objects.bulk_create(Action(tenant=tenant, action_id="lookupOrder") for tenant in tenants)
    policies = QuotaPolicy.objects.bulk_create(QuotaPolicy(name=tenant.tenant_id) for tenant in tenants)
    QuotaLimit.objects.bulk_create(
        QuotaLimit(policy=policy, name="hour", quota=5, window_seconds=3600) for policy in policies
    )
    Assignment.objects.bulk_create(
        Assignment(policy=policy, target="tenant", tenant=tenant)
        for policy, tenant in zip(policies, tenants, strict=True)
    )
    ApiKey.objects.bulk_create(
        ApiKey(tenant=tenant, name="k", prefix=f"{tenant.tenant_id:0>12}", digest="d") for tenant in tenants
    )
    return tenants


@pytest.fixture
def platform(many: list[Tenant]) -> ApiKey:
    row, _ = ApiKey.objects.issue(name="platform")
    row.acts_for.set(many)
    return row


@contextmanager
def sessions() -> Iterator[list[object]]:
    """The database sessions that are opened inside."""
    opened: list[object] = []

    def note(connection: object, **_: object) -> None:
        opened.append(connection)

    connection_created.connect(note)
    try:
        yield opened
    finally:
        connection_created.disconnect(note)


async def first_calls(snapshot: Snapshot, tenants: list[Tenant], platform: ApiKey) -> None:
    """What the first call of each tenant asks for: its key, whether the platform's key may, itself."""
    names = [tenant.tenant_id for tenant in tenants]
    found = await asyncio.gather(*(snapshot.key(f"{name:0>12}") for name in names))
    assert Missing.MISSING not in found
    assert all(await asyncio.gather(*(snapshot.grant(platform.pk, name) for name in names)))
    entries = await asyncio.gather(*(snapshot.tenant(name) for name in names))
    assert [entry.plan("lookupOrder", 0.0).limits[-1].quota for entry in entries if entry] == [5] * len(names)


async def test_many_cold_tenants_take_as_many_queries_as_one(many: list[Tenant], platform: ApiKey) -> None:
    counts = []
    for tenants in (many[:1], many[1:]):
        async with worker() as snapshot:
            with counted() as queries:
                await snapshot.look()
                await first_calls(snapshot, tenants, platform)
            counts.append(len(queries.statements))
        await aside(cache.clear)
    assert counts[1] == counts[0], queries.statements


async def test_cold_tenants_are_loaded_over_sessions_that_stay_open(many: list[Tenant], platform: ApiKey) -> None:
    async with worker() as snapshot:
        await snapshot.look()
        with sessions() as opened:
            for tenant in many[:20]:
                await first_calls(snapshot, [tenant], platform)
        assert len(opened) <= 2


async def test_the_tenant_that_a_key_or_grant_lets_in_is_loaded_with_it(
    many: list[Tenant], platform: ApiKey, globex: Tenant
) -> None:
    async with worker() as snapshot:
        await asyncio.gather(snapshot.key(f"{'t0':0>12}"), snapshot.grant(platform.pk, "t1"))
        assert snapshot.held_tenant("t0") is not None and snapshot.held_tenant("t1") is not None
        assert not await snapshot.grant(platform.pk, "globex")
        assert snapshot.held_tenant("globex") is None


async def test_a_platform_keys_entry_does_not_grow_with_its_tenants(many: list[Tenant], platform: ApiKey) -> None:
    async with worker() as snapshot:
        await snapshot.key(platform.prefix)
        await asyncio.gather(*(snapshot.grant(platform.pk, tenant.tenant_id) for tenant in many))
    stored = await aside(lambda: cache.get(_key(f"key:{platform.prefix}")))
    assert many[0].tenant_id not in str(stored)


async def test_a_platform_key_acts_for_its_tenants_and_only_as_long_as_it_may(
    many: list[Tenant], platform: ApiKey, globex: Tenant
) -> None:
    async with worker() as snapshot, worker() as other:
        await snapshot.look()
        assert await snapshot.grant(platform.pk, "t0") and not await snapshot.grant(platform.pk, "globex")
        assert await other.grant(platform.pk, "t0")
        await aside(lambda: platform.acts_for.remove(many[0]))
        await aside(lambda: platform.acts_for.add(globex))
        for each in (snapshot, other):
            await each.look()
            assert not await each.grant(platform.pk, "t0") and await each.grant(platform.pk, "globex")


async def test_without_the_database_cached_tenants_are_served_beside_unknown_ones(
    many: list[Tenant], database_away: Callable[[], AbstractContextManager[None]]
) -> None:
    async with worker() as before:
        await before.tenant("t0")
    async with worker() as snapshot:
        with database_away():
            cached, cold = await asyncio.gather(snapshot.tenant("t0"), snapshot.tenant("t1"), return_exceptions=True)
        assert cached is not None and not isinstance(cached, BaseException)
        assert isinstance(cold, DirectoryUnavailable)


@contextmanager
def instances() -> Iterator[Counter[str]]:
    """How many rows of each model are made into objects inside, in whichever thread."""
    made: Counter[str] = Counter()

    def note(sender: type, **_: object) -> None:
        made[sender.__name__] += 1

    post_init.connect(note)
    try:
        yield made
    finally:
        post_init.disconnect(note)


async def test_cold_tenants_of_one_connection_read_it_once_and_make_no_objects_of_other_rows(
    many: list[Tenant], platform: ApiKey
) -> None:
    async with worker() as snapshot:
        await snapshot.look()
        with instances() as made:
            await first_calls(snapshot, many, platform)
    del made["QuotaPolicy"], made["QuotaLimit"]
    assert made == {"Connection": 1}


async def test_a_cold_tenant_whose_connection_was_replaced_and_deleted_meanwhile_is_held_with_the_new_one(
    many: list[Tenant], connection: Connection
) -> None:
    other = await aside(lambda: Connection.objects.create(name="other", preset=connection.preset, base_url="https://o"))

    def replace() -> None:
        Tenant.objects.update(connection=other)
        connection.delete()

    async with worker() as snapshot:
        with counted(Meanwhile("tenants_tenant", replace)):
            entry = await snapshot.tenant("t0")
    assert entry is not None
    assert entry.tenant.connection.id == other.pk
