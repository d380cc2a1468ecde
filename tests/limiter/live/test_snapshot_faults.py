"""Workers keep deciding when the cache, the database or a policy is broken, and report the fault."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.core.cache import cache
from django.db import Error as DatabaseFault
from django_redis.cache import RedisCache

from limiter.live.shared_cache import SecondLevel
from limiter.live.snapshot import DirectoryUnavailable
from limiter.models import QuotaLimit, QuotaPolicy
from limiter.policies.compiled import PolicyUnavailable
from quota_platform.base import changes
from quota_platform.base.changes import Topic
from tenants.directory import KeySpec
from tenants.models import Connection, Tenant
from tests.limiter.workers import NOW, aside, counted, quotas, worker
from tests.patience import HANG_S

pytest_plugins = ["tests.database_faults"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url")]


def dead_cache() -> SecondLevel:
    return SecondLevel(RedisCache("redis://127.0.0.1:1/0", {}))


Away = Callable[[], AbstractContextManager[None]]


class Clock:
    """Monotonic seconds that a test moves by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class TestTheCacheIsAway:
    async def test_without_the_shared_cache_entries_come_from_the_database(
        self, acme: Tenant, acme_key: str, base_policy: QuotaPolicy, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with worker(second=dead_cache()) as snapshot:
            await snapshot.look()
            assert quotas(await snapshot.tenant("acme")) == {"minute": 100}
            assert isinstance(await snapshot.key(acme_key.split("_")[1]), KeySpec)
            await aside(lambda: _set_quota(base_policy, 5))
            await snapshot.look()
            assert quotas(snapshot.held_tenant("acme")) == {"minute": 5}
        assert caplog.text.count("The shared cache is unavailable") == 1

    async def test_entries_of_another_version_are_not_read(self, acme: Tenant, base_policy: QuotaPolicy) -> None:
        for name in ("tenant:acme", "default:0"):
            cache.set(f"snapshot:1:{name}", {"seq": 10**9, "data": {"shape": "of another version"}})
        async with worker() as snapshot:
            assert quotas(await snapshot.tenant("acme")) == {"minute": 100}


class TestTheDatabaseIsAway:
    async def test_held_entries_serve_on_and_are_put_right_afterwards(
        self, acme: Tenant, acme_key: str, base_policy: QuotaPolicy, database_away: Away
    ) -> None:
        prefix = acme_key.split("_")[1]
        async with worker(second=dead_cache()) as snapshot:
            await snapshot.look()
            await snapshot.tenant("acme"), await snapshot.key(prefix)
            await aside(lambda: _set_quota(base_policy, 5))
            with database_away():
                with pytest.raises(DatabaseFault):
                    await snapshot.look()
                assert quotas(await snapshot.tenant("acme")) == {"minute": 100}
                assert isinstance(await snapshot.key(prefix), KeySpec)
            await snapshot.look()
            assert quotas(snapshot.held_tenant("acme")) == {"minute": 5}

    async def test_a_tenant_that_was_never_seen_is_unknown_without_the_database(
        self, acme: Tenant, base_policy: QuotaPolicy, database_away: Away
    ) -> None:
        async with worker() as snapshot:
            with database_away():
                for ask in (snapshot.tenant, snapshot.key):
                    with pytest.raises(DirectoryUnavailable):
                        await ask("acme")
            assert quotas(await snapshot.tenant("acme")) == {"minute": 100}

    async def test_a_worker_that_starts_meanwhile_takes_what_the_cache_has(
        self, acme: Tenant, base_policy: QuotaPolicy, database_away: Away
    ) -> None:
        async with worker() as before:
            await before.tenant("acme")
        with database_away():
            async with worker() as started:
                assert quotas(await started.tenant("acme")) == {"minute": 100}

    async def test_an_entry_known_to_be_old_is_better_than_none_until_the_database_is_back(
        self, acme: Tenant, base_policy: QuotaPolicy, database_away: Away
    ) -> None:
        async with worker() as before:
            await before.tenant("acme")
        await aside(lambda: _suspend(acme))
        async with worker() as snapshot:
            await snapshot.look()
            with database_away():
                entry = await snapshot.tenant("acme")
                assert entry is not None and entry.tenant.active
            await snapshot.look()
            entry = snapshot.held_tenant("acme")
            assert entry is not None and not entry.tenant.active

    async def test_following_continues_by_itself_when_the_database_is_back(
        self, acme: Tenant, base_policy: QuotaPolicy, caplog: pytest.LogCaptureFixture, database_away: Away
    ) -> None:
        async with worker() as snapshot:
            await snapshot.look()
            await snapshot.tenant("acme")
            stop = asyncio.Event()
            with database_away():
                following = asyncio.ensure_future(snapshot.follow(stop))
                await _logged(caplog, "Edits cannot be read at the moment")
                assert quotas(snapshot.held_tenant("acme")) == {"minute": 100}
            await aside(lambda: _set_quota(base_policy, 5))
            await asyncio.wait_for(snapshot.reached(await aside(changes.latest_id)), HANG_S)
            assert quotas(snapshot.held_tenant("acme")) == {"minute": 5}
            stop.set()
            await asyncio.wait_for(following, HANG_S)
            assert caplog.text.count("Edits can be read again") == 1


class TestAPolicyWrittenBySql:
    async def test_the_last_good_one_serves_on_and_the_problem_is_named(
        self, acme: Tenant, base_policy: QuotaPolicy, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with worker() as snapshot:
            await snapshot.look()
            await snapshot.tenant("acme")
            await aside(lambda: _break(base_policy))
            await snapshot.look()
            assert quotas(snapshot.held_tenant("acme")) == {"minute": 100}
            name, problem = f"policy {base_policy.pk}", "policy 'Base', limit 'minute', algorithm: "
            assert snapshot.problems[name].startswith(problem)
            assert snapshot.status()["problems"] == snapshot.problems
            await aside(lambda: changes.record(Topic.POLICY, base_policy.pk))
            await snapshot.look()
            assert caplog.text.count(problem) == 1

    async def test_the_shared_cache_serves_workers_that_start_later_too(
        self, acme: Tenant, base_policy: QuotaPolicy
    ) -> None:
        async with worker() as before:
            await before.tenant("acme")
        await aside(lambda: _break(base_policy))
        async with worker() as later:
            await later.look()
            assert quotas(await later.tenant("acme")) == {"minute": 100}
            assert later.problems.keys() == {f"policy {base_policy.pk}"}

    async def test_without_a_good_one_the_calls_under_it_are_not_decided(
        self, acme: Tenant, globex: Tenant, base_policy: QuotaPolicy
    ) -> None:
        await aside(lambda: _break(base_policy))
        async with worker() as snapshot:
            entry = await snapshot.tenant("acme")
            assert entry is not None
            with pytest.raises(PolicyUnavailable):
                entry.plan("lookupOrder", NOW)

    async def test_a_policy_repaired_without_an_edit_is_found(
        self, acme: Tenant, base_policy: QuotaPolicy, caplog: pytest.LogCaptureFixture
    ) -> None:
        await aside(lambda: _break(base_policy))
        clock = Clock()
        async with worker(clock=clock) as snapshot:
            await snapshot.tenant("acme")
            await snapshot.look()
            await aside(lambda: base_policy.limits.update(algorithm="sliding_log"))
            with counted() as queries:
                await snapshot.look()
            assert all("tenants_change" in sql for sql in queries.statements) and snapshot.problems
            clock.now += 60
            await snapshot.look()
            assert quotas(snapshot.held_tenant("acme")) == {"minute": 100} and not snapshot.problems
        assert f"policy {base_policy.pk} can be used again" in caplog.text


class TestRowsWrittenBySql:
    @pytest.mark.parametrize(
        "nonsense",
        [
            {"preset": "generic_oauth2", "token_extra_params": ["no", "mapping"]},
            {"preset": "of_a_newer_release"},
        ],
    )
    async def test_a_connection_that_makes_no_sense_leaves_its_tenants_as_they_are(
        self, nonsense: dict[str, Any], acme: Tenant, connection: Connection, base_policy: QuotaPolicy
    ) -> None:
        async with worker() as snapshot:
            await snapshot.look()
            before = await snapshot.tenant("acme")

            def edit() -> None:
                Connection.objects.update(**nonsense)
                changes.record(Topic.CONNECTION, connection.pk)

            await aside(edit)
            await snapshot.look()
            assert snapshot.held_tenant("acme") is before
            assert snapshot.problems[f"connection {connection.pk}"].startswith("connection 'sandbox': ")
            await aside(connection.save)
            await snapshot.look()
            assert not snapshot.problems

    async def test_a_held_policy_serves_on_and_another_worker_gets_the_reason(
        self, acme: Tenant, base_policy: QuotaPolicy
    ) -> None:
        async with worker(second=dead_cache()) as snapshot, worker(second=dead_cache()) as other:
            await snapshot.look()
            await snapshot.tenant("acme")

            def edit() -> None:
                acme.actions.update(query_template=["no", "mapping"])
                changes.record(Topic.TENANT, acme.pk)

            await aside(edit)
            await snapshot.look()
            assert quotas(snapshot.held_tenant("acme")) == {"minute": 100}
            assert "tenant 'acme'" in snapshot.problems["tenant acme"]
            with pytest.raises(DirectoryUnavailable, match="tenant 'acme'"):
                await other.tenant("acme")


async def _logged(caplog: pytest.LogCaptureFixture, text: str) -> None:
    async with asyncio.timeout(HANG_S):
        while text not in caplog.text:
            await asyncio.sleep(0)


def _set_quota(policy: QuotaPolicy, quota: int) -> None:
    limit = policy.limits.get()
    limit.quota = quota
    limit.save()


def _suspend(tenant: Tenant) -> None:
    tenant.status = Tenant.Status.SUSPENDED
    tenant.save()


def _break(policy: QuotaPolicy) -> None:
    """As somebody does who edits in SQL, past every form; another edit of the policy follows."""
    QuotaLimit.objects.filter(policy=policy).update(algorithm="bogus")
    changes.record(Topic.POLICY, policy.pk)
