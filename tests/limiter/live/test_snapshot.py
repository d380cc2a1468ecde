"""What a worker holds, and how an edit reaches it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from django.core.cache import cache
from django.db import transaction
from django.utils import timezone

from limiter.live.snapshot import Missing, Snapshot
from limiter.models import Assignment, Override, QuotaLimit, QuotaPolicy
from quota_platform.base import changes
from tenants.directory import KeySpec
from tenants.models import Action, ApiKey, Change, Connection, Tenant
from tests.limiter.workers import NOW, Meanwhile, aside, counted, quotas, worker
from tests.patience import HANG_S

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url")]


@pytest_asyncio.fixture
async def snapshot() -> AsyncIterator[Snapshot]:
    """A worker that has started to follow."""
    async with worker() as made:
        await made.look()
        yield made


def policy(name: str, **limits: int) -> QuotaPolicy:
    row = QuotaPolicy.objects.create(name=name)
    for limit_name, quota in limits.items():
        QuotaLimit.objects.create(policy=row, name=limit_name, quota=quota, window_seconds=60)
    return row


def prefix(token: str) -> str:
    return token.split("_")[1]


class TestFirstUse:
    async def test_a_tenant_is_loaded_once_and_then_held(
        self, acme: Tenant, base_policy: QuotaPolicy, snapshot: Snapshot
    ) -> None:
        assert snapshot.held_tenant("acme") is None
        entry = await snapshot.tenant("acme")
        assert entry is not None and entry is snapshot.held_tenant("acme")
        assert quotas(entry) == {"minute": 100}

    async def test_many_calls_at_once_load_once(
        self, acme: Tenant, base_policy: QuotaPolicy, snapshot: Snapshot
    ) -> None:
        with counted() as alone:
            await snapshot.tenant("acme")
        async with worker() as other:
            await other.look()
            await aside(cache.clear)
            with counted() as together:
                entries = await asyncio.gather(*(other.tenant("acme") for _ in range(50)))
        assert len(together.statements) == len(alone.statements) > 0
        assert len({id(entry) for entry in entries}) == 1

    async def test_one_caller_who_gives_up_does_not_stop_the_others(self, acme: Tenant, snapshot: Snapshot) -> None:
        impatient, patient = (asyncio.ensure_future(snapshot.tenant("acme")) for _ in range(2))
        await asyncio.sleep(0)
        impatient.cancel()
        assert await patient is not None

    async def test_an_unknown_tenant_is_remembered_until_tenants_change(
        self, connection: Connection, snapshot: Snapshot
    ) -> None:
        assert await snapshot.tenant("new") is None
        with counted() as queries:
            assert await snapshot.tenant("new") is None
        assert queries.statements == []
        await aside(lambda: Tenant.objects.create(tenant_id="new", name="New", connection=connection))
        await snapshot.look()
        assert await snapshot.tenant("new") is not None

    async def test_a_key_and_the_lack_of_one(self, acme_key: str, snapshot: Snapshot) -> None:
        assert snapshot.held_key(prefix(acme_key)) is None
        key = await snapshot.key(prefix(acme_key))
        assert isinstance(key, KeySpec) and key.tenant_id == "acme" and snapshot.held_key(prefix(acme_key)) is key
        assert await snapshot.key("nobodyhaskey") is Missing.MISSING is snapshot.held_key("nobodyhaskey")

    async def test_a_key_made_after_it_was_asked_for_is_found(self, acme: Tenant, snapshot: Snapshot) -> None:
        row = ApiKey(tenant=acme, name="late", prefix="lateprefix00", digest="0" * 64)
        assert await snapshot.key("lateprefix00") is Missing.MISSING
        await aside(row.save)
        await snapshot.look()
        assert isinstance(await snapshot.key("lateprefix00"), KeySpec)

    async def test_nobody_has_said_how_much(self, acme: Tenant, snapshot: Snapshot) -> None:
        assert quotas(await snapshot.tenant("acme")) == {}

    async def test_preloading_takes_a_fixed_number_of_queries(self, connection: Connection) -> None:
        def make() -> None:
            Tenant.objects.bulk_create(Tenant(tenant_id=f"t{n}", name="T", connection=connection) for n in range(90))

        await aside(make)
        seen = []
        for names in (["t0"], [f"t{n}" for n in range(1, 90)]):
            await aside(cache.clear)
            async with worker() as made:
                with counted() as queries:
                    await made.preload(names)
                assert all(made.held_tenant(name) for name in names)
            seen.append(len(queries.statements))
        assert seen[0] == seen[1] > 0


class TestEdits:
    @pytest.mark.parametrize(
        ("edit", "expected"),
        [
            (lambda acme, base: _set(base.limits.get(), quota=50), {"minute": 50}),
            (lambda acme, base: base.limits.all().delete(), {}),
            (lambda acme, base: _add_limit(base), {"minute": 100, "day": 9}),
            (lambda acme, base: _set(Assignment.objects.get(), policy=policy("Other", hour=5)), {"hour": 5}),
            (lambda acme, base: Assignment.objects.get().delete(), {}),
            (lambda acme, base: _assign(policy("Gold", minute=600, day=9), tenant=acme), {"minute": 600, "day": 9}),
            (lambda acme, base: _assign(policy("Slow", minute=1), action=acme.actions.get()), {"minute": 1}),
            (lambda acme, base: _override(acme, factor=0.5), {"minute": 50}),
        ],
        ids=["limit", "limits deleted", "limit added", "default", "no default", "tenant", "action", "override"],
    )
    async def test_each_reaches_every_worker(
        self,
        acme: Tenant,
        base_policy: QuotaPolicy,
        edit: Callable[[Tenant, QuotaPolicy], object],
        expected: dict[str, int],
    ) -> None:
        async with worker() as one, worker() as other:
            for each in (one, other):
                await each.look()
                assert quotas(await each.tenant("acme")) == {"minute": 100}
            await aside(lambda: edit(acme, base_policy))
            newest = await aside(changes.latest_id)
            for each in (one, other):
                await each.look()
                assert each.seq == newest
                assert quotas(each.held_tenant("acme"), now=timezone.now().timestamp()) == expected

    async def test_a_tenant_suspended_an_action_repriced_and_one_deleted(
        self, acme: Tenant, snapshot: Snapshot
    ) -> None:
        before = await snapshot.tenant("acme")
        assert before is not None and before.tenant.active
        await aside(lambda: _set(acme.actions.get(), cost=3))
        await aside(lambda: _set(acme, status="suspended"))
        await snapshot.look()
        entry = snapshot.held_tenant("acme")
        assert entry is not None and not entry.tenant.active
        assert entry.plan("lookupOrder", NOW).cost == 3
        assert before.tenant.active and before.plan("lookupOrder", NOW).cost == 1
        await aside(lambda: acme.actions.all().delete())
        await snapshot.look()
        entry = snapshot.held_tenant("acme")
        assert entry is not None and entry.tenant.actions == {}

    async def test_a_deleted_tenant_is_gone_with_its_keys(
        self, acme: Tenant, acme_key: str, snapshot: Snapshot
    ) -> None:
        assert await snapshot.tenant("acme") and isinstance(await snapshot.key(prefix(acme_key)), KeySpec)
        await aside(acme.delete)
        await snapshot.look()
        assert await snapshot.tenant("acme") is None
        assert await snapshot.key(prefix(acme_key)) is Missing.MISSING

    async def test_a_revoked_key_and_a_platform_keys_new_tenant(
        self, acme: Tenant, globex: Tenant, snapshot: Snapshot
    ) -> None:
        row, token = await aside(lambda: ApiKey.objects.issue(name="platform"))
        await snapshot.key(prefix(token))
        assert not await snapshot.grant(row.pk, "acme")
        await aside(lambda: row.acts_for.add(acme))
        await snapshot.look()
        assert snapshot.held_grant(row.pk, "acme") is None
        assert await snapshot.grant(row.pk, "acme") and not await snapshot.grant(row.pk, "globex")
        assert snapshot.held_grant(row.pk, "acme") is True
        await aside(row.revoke)
        await snapshot.look()
        held = snapshot.held_key(prefix(token))
        assert isinstance(held, KeySpec) and held.revoked

    async def test_a_name_that_changes_hands_never_lends_a_key_to_the_new_owner(
        self, acme: Tenant, globex: Tenant, acme_key: str, snapshot: Snapshot
    ) -> None:
        await snapshot.tenant("acme"), await snapshot.key(prefix(acme_key))
        await aside(lambda: _set(acme, tenant_id="acme-old"))
        await aside(lambda: _set(globex, tenant_id="acme"))
        await snapshot.look()
        entry, key = await snapshot.tenant("acme"), snapshot.held_key(prefix(acme_key))
        assert entry is not None and entry.tenant.id == globex.pk
        assert isinstance(key, KeySpec) and key.tenant_id == "acme-old"

    async def test_tenants_of_one_connection_share_it_before_and_after_an_edit(
        self, acme: Tenant, globex: Tenant, connection: Connection, snapshot: Snapshot
    ) -> None:
        async def held() -> list[Any]:
            entries = [await snapshot.tenant(name) for name in ("acme", "globex")]
            return [entry.tenant.connection for entry in entries if entry]

        one, other = await held()
        assert one is other and one.enabled
        await aside(lambda: _set(connection, enabled=False))
        await snapshot.look()
        one, other = await held()
        assert one is other and not one.enabled

    async def test_an_earlier_version_of_a_policy_put_back(
        self, acme: Tenant, base_policy: QuotaPolicy, snapshot: Snapshot
    ) -> None:
        limit = await aside(base_policy.limits.get)
        await aside(lambda: _set(limit, quota=1))
        assert quotas(await snapshot.tenant("acme")) == {"minute": 1}

        def revert() -> None:
            with transaction.atomic():
                limit.history.order_by("history_id").first().instance.save()

        await aside(revert)
        await snapshot.look()
        assert quotas(snapshot.held_tenant("acme")) == {"minute": 100}

    @pytest.mark.parametrize("table", ["tenants_tenant", "limiter_assignment", "limiter_quotalimit"])
    async def test_one_made_while_something_is_loaded_is_not_missed(
        self, acme: Tenant, base_policy: QuotaPolicy, snapshot: Snapshot, table: str
    ) -> None:
        def edit() -> None:
            _set(acme, status="suspended")
            _set(base_policy.limits.get(), quota=5)

        with counted(Meanwhile(table, edit)):
            await snapshot.tenant("acme")
        await snapshot.look()
        entry = snapshot.held_tenant("acme")
        assert entry is not None and not entry.tenant.active and quotas(entry) == {"minute": 5}

    async def test_ten_thousand_tenants_and_one_edit_that_costs_one(self, connection: Connection) -> None:
        def make() -> None:
            rows = Tenant.objects.bulk_create(
                Tenant(tenant_id=f"t{n}", name="T", connection=connection) for n in range(10_000)
            )
            Action.objects.bulk_create(Action(tenant=row, action_id="lookupOrder") for row in rows)

        await aside(make)
        names = [f"t{n}" for n in range(10_000)]
        spent = []
        for held in (names[:10], names):
            async with worker(capacity=10_000) as snapshot:
                await snapshot.look()
                await snapshot.preload(held)
                before = {name: snapshot.held_tenant(name) for name in held}
                await aside(lambda: _set(Tenant.objects.get(tenant_id="t7"), status="suspended"))
                with counted() as queries:
                    await snapshot.look()
                spent.append(len(queries.statements))
                assert [name for name in held if snapshot.held_tenant(name) is not before[name]] == ["t7"]
        assert spent[0] == spent[1] > 0


class TestTheClock:
    async def test_an_override_starts_and_ends_without_an_edit(
        self, acme: Tenant, base_policy: QuotaPolicy, snapshot: Snapshot
    ) -> None:
        start, end = datetime(2100, 1, 1, tzinfo=UTC), datetime(2100, 1, 2, tzinfo=UTC)
        await aside(lambda: _override(acme, factor=3.0, starts_at=start, ends_at=end))
        entry = await snapshot.tenant("acme")
        clock = [start.timestamp() - 0.001, start.timestamp(), end.timestamp() - 0.001, end.timestamp()]
        assert [quotas(entry, now=now)["minute"] for now in clock] == [100, 300, 300, 100]


class TestWhatIsShared:
    async def test_tenants_under_the_same_policies_share_one_plan(
        self, acme: Tenant, globex: Tenant, base_policy: QuotaPolicy, snapshot: Snapshot
    ) -> None:
        one, other = await snapshot.tenant("acme"), await snapshot.tenant("globex")
        assert one and other
        assert one.plan("lookupOrder", NOW) is one.plan("lookupOrder", NOW) is other.plan("createCase", NOW)

    async def test_action_names_that_callers_make_up_share_one_plan(self, acme: Tenant, snapshot: Snapshot) -> None:
        await aside(lambda: _override(acme, factor=2.0))
        entry = await snapshot.tenant("acme")
        assert entry and entry.plan("made-up-1", NOW) is entry.plan("made-up-2", NOW)

    async def test_the_tenant_unused_for_longest_makes_room_with_its_policies(
        self, acme: Tenant, globex: Tenant, base_policy: QuotaPolicy
    ) -> None:
        await aside(lambda: _assign(policy("Gold", day=9), tenant=acme))
        async with worker(capacity=1) as small:
            await small.look()
            await small.tenant("acme")
            assert small.status()["policies"] == 2
            await small.tenant("globex")
            assert small.held_tenant("acme") is None
            await small.look()
            status = small.status()
            assert (status["tenants"], status["policies"]) == (1, 1)

    async def test_a_second_worker_takes_from_the_cache(
        self, acme: Tenant, base_policy: QuotaPolicy, acme_key: str, snapshot: Snapshot
    ) -> None:
        await snapshot.tenant("acme"), await snapshot.key(prefix(acme_key))
        async with worker() as other:
            with counted() as queries:
                assert await other.tenant("acme") and await other.key(prefix(acme_key))
            assert queries.statements == []
            assert quotas(other.held_tenant("acme")) == {"minute": 100}

    async def test_an_entry_of_the_cache_from_before_an_edit_is_not_used(
        self, acme: Tenant, base_policy: QuotaPolicy, snapshot: Snapshot
    ) -> None:
        await snapshot.tenant("acme")
        await aside(lambda: _set(acme, status="suspended"))
        await aside(lambda: _set(base_policy.limits.get(), quota=5))
        async with worker() as other:
            await other.look()
            entry = await other.tenant("acme")
            assert entry and not entry.tenant.active and quotas(entry) == {"minute": 5}

    async def test_one_used_before_the_first_look_is_put_right_by_it(
        self, acme: Tenant, base_policy: QuotaPolicy, snapshot: Snapshot
    ) -> None:
        await snapshot.tenant("acme")
        await aside(lambda: _set(base_policy.limits.get(), quota=5))
        async with worker() as early:
            assert quotas(await early.tenant("acme")) == {"minute": 100}
            await early.look()
            assert quotas(early.held_tenant("acme")) == {"minute": 5}


class TestFollowing:
    @pytest.mark.parametrize("ringing", [True, False], ids=["bell", "no bell"])
    async def test_edits_reach_a_snapshot_by_themselves(
        self, acme: Tenant, base_policy: QuotaPolicy, snapshot: Snapshot, settings: Any, ringing: bool
    ) -> None:
        await snapshot.tenant("acme")
        if not ringing:
            settings.REDIS_URL = "redis://127.0.0.1:1/0"
        stop = asyncio.Event()
        following = asyncio.ensure_future(snapshot.follow(stop))
        await aside(lambda: _set(base_policy.limits.get(), quota=5))
        await asyncio.wait_for(snapshot.reached(await aside(changes.latest_id)), HANG_S)
        assert quotas(snapshot.held_tenant("acme")) == {"minute": 5}
        stop.set()
        await asyncio.wait_for(following, HANG_S)

    async def test_a_worker_that_was_gone_for_too_long_loads_everything_again(
        self, acme: Tenant, base_policy: QuotaPolicy, acme_key: str, snapshot: Snapshot
    ) -> None:
        await snapshot.tenant("acme"), await snapshot.key(prefix(acme_key))

        def edit_and_prune() -> None:
            _set(base_policy.limits.get(), quota=5)
            _set(ApiKey.objects.get(), revoked_at=timezone.now())
            _set(acme, status="suspended")
            Change.objects.update(at=timezone.now() - timedelta(hours=2))
            changes.prune()

        await aside(edit_and_prune)
        await snapshot.look()
        entry, key = snapshot.held_tenant("acme"), snapshot.held_key(prefix(acme_key))
        assert entry and not entry.tenant.active and quotas(entry) == {"minute": 5}
        assert isinstance(key, KeySpec) and key.revoked
        assert snapshot.seq == await aside(changes.latest_id)


def _set(row: Any, **fields: object) -> None:
    for name, value in fields.items():
        setattr(row, name, value)
    row.save()


def _add_limit(row: QuotaPolicy) -> None:
    QuotaLimit.objects.create(policy=row, name="day", quota=9, window_seconds=86_400)


def _assign(row: QuotaPolicy, *, tenant: Tenant | None = None, action: Action | None = None) -> None:
    Assignment.objects.create(policy=row, target="tenant" if tenant else "action", tenant=tenant, action=action)


def _override(tenant: Tenant, *, factor: float, **times: datetime) -> None:
    times = {"ends_at": timezone.now() + timedelta(hours=1), **times}
    Override.objects.create(tenant=tenant, effect="factor", factor=factor, reason="test", **times)
