"""Every edit is noted in the outbox, in its own transaction, and a bell is rung after it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import IntegrityError, transaction
from django.utils import timezone

from limiter.models import Assignment, Override, QuotaLimit, QuotaPolicy
from quota_platform.base import changes
from quota_platform.base.changes import DEFAULT, ChangesLost, Topic, Touch, bell, touch_of
from tenants.models import Action, ApiKey, Change, Connection, Tenant
from tests.patience import HANG_S

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url")]
Noted = Callable[[], set[Touch]]


@pytest.fixture
def noted() -> Noted:
    """The changes noted since the last call, at first since the earlier fixtures were made."""
    return _noted_from_here()


def tenant_touch(row: Tenant) -> Touch:
    return Touch(Topic.TENANT, row.pk)


class TestWhatIsNoted:
    def test_a_tenant_and_its_actions_are_one_thing(self, acme: Tenant) -> None:
        noted = _noted_from_here()
        acme.name = "Acme Ltd"
        acme.save()
        assert noted() == {tenant_touch(acme)}
        action = acme.actions.get()
        action.cost = 2
        action.save()
        assert noted() == {tenant_touch(acme)}
        action.delete()
        assert noted() == {tenant_touch(acme)}

    def test_an_action_that_moves_touches_both_tenants(self, acme: Tenant, globex: Tenant, noted: Noted) -> None:
        action = acme.actions.get()
        action.tenant = globex
        action.save()
        assert noted() == {tenant_touch(acme), tenant_touch(globex)}

    def test_a_connection(self, connection: Connection, noted: Noted) -> None:
        connection.enabled = False
        connection.save()
        assert noted() == {Touch(Topic.CONNECTION, connection.pk)}

    def test_a_key_issued_and_revoked(self, acme: Tenant, noted: Noted) -> None:
        key, _ = ApiKey.objects.issue(name="IVR", tenant=acme)
        assert noted() == {Touch(Topic.KEY, key.pk)}
        key.revoke()
        assert noted() == {Touch(Topic.KEY, key.pk)}

    def test_a_policy_and_its_limits_are_one_thing(self, base_policy: QuotaPolicy, noted: Noted) -> None:
        touch = Touch(Topic.POLICY, base_policy.pk)
        base_policy.description = "for all"
        base_policy.save()
        assert noted() == {touch}
        limit = base_policy.limits.get()
        limit.quota = 7
        limit.save()
        assert noted() == {touch}
        limit.delete()
        assert noted() == {touch}

    def test_assignments_belong_to_their_tenant_or_action(self, acme: Tenant, base_policy: QuotaPolicy) -> None:
        noted = _noted_from_here()
        Assignment.objects.create(policy=base_policy, target="tenant", tenant=acme)
        assert noted() == {tenant_touch(acme)}
        Assignment.objects.create(policy=base_policy, target="action", action=acme.actions.get())
        assert noted() == {tenant_touch(acme)}
        default = Assignment.objects.get(target="default")
        default.policy = QuotaPolicy.objects.create(name="Other")
        noted()
        default.save()
        assert noted() == {DEFAULT}

    def test_an_assignment_that_moves_touches_both_ends(
        self, acme: Tenant, globex: Tenant, base_policy: QuotaPolicy
    ) -> None:
        row = Assignment.objects.create(policy=base_policy, target="tenant", tenant=acme)
        noted = _noted_from_here()
        row.target, row.tenant, row.action = "action", None, globex.actions.get()
        row.save()
        assert noted() == {tenant_touch(acme), tenant_touch(globex)}

    def test_an_override_for_a_while(self, acme: Tenant, noted: Noted) -> None:
        row = _override(acme)
        assert noted() == {tenant_touch(acme)}
        row.delete()
        assert noted() == {tenant_touch(acme)}

    def test_reading_rows_notes_no_change(self, acme: Tenant, noted: Noted) -> None:
        list(Tenant.objects.select_related("connection"))
        assert noted() == set()


class TestKeysThatNameTenants:
    def test_a_platform_key_is_touched_by_its_list_from_either_side(self, acme: Tenant, globex: Tenant) -> None:
        key, _ = ApiKey.objects.issue(name="platform")
        touch = {Touch(Topic.KEY, key.pk)}
        noted = _noted_from_here()
        edits: list[Callable[[], Any]] = [
            lambda: key.acts_for.add(acme, globex),
            lambda: key.acts_for.remove(acme),
            lambda: key.acts_for.set([acme]),
            lambda: key.acts_for.clear(),
            lambda: acme.platform_keys.add(key),
            lambda: acme.platform_keys.remove(key),
            lambda: acme.platform_keys.set([key]),
            lambda: acme.platform_keys.clear(),
        ]
        for edit in edits:
            edit()
            assert noted() == touch

    def test_a_renamed_tenant_touches_its_keys_because_they_hold_its_name(self, acme: Tenant, globex: Tenant) -> None:
        own, _ = ApiKey.objects.issue(name="own", tenant=acme)
        platform, _ = ApiKey.objects.issue(name="platform")
        platform.acts_for.add(acme)
        ApiKey.objects.issue(name="stranger", tenant=globex)
        noted = _noted_from_here()
        acme.tenant_id = "acme-2"
        acme.save()
        assert noted() == {tenant_touch(acme), Touch(Topic.KEY, own.pk), Touch(Topic.KEY, platform.pk)}

    def test_a_deleted_tenant_touches_all_that_goes_with_it_and_the_platform_keys_that_stay(self, acme: Tenant) -> None:
        own, _ = ApiKey.objects.issue(name="own", tenant=acme)
        platform, _ = ApiKey.objects.issue(name="platform")
        platform.acts_for.add(acme)
        touched = {tenant_touch(acme), Touch(Topic.KEY, own.pk), Touch(Topic.KEY, platform.pk)}
        noted = _noted_from_here()
        acme.delete()
        assert noted() == touched


class TestOneTransaction:
    def test_an_edit_that_is_rolled_back_is_not_noted(self, acme: Tenant, noted: Noted) -> None:
        with transaction.atomic():
            acme.save()
            transaction.set_rollback(True)
        assert noted() == set()

    def test_a_save_that_fails_leaves_no_note(self, acme: Tenant, noted: Noted) -> None:
        with pytest.raises(IntegrityError):
            Action.objects.create(tenant=acme, action_id="lookupOrder")
        assert noted() == set()

    def test_a_note_lost_with_a_savepoint_is_written_again(self, acme: Tenant, noted: Noted) -> None:
        with transaction.atomic():
            with transaction.atomic():
                acme.save()
                transaction.set_rollback(True)
            acme.save()
        assert noted() == {tenant_touch(acme)}

    def test_hundreds_of_actions_deleted_at_once_are_one_note(self, acme: Tenant) -> None:
        Action.objects.bulk_create(Action(tenant=acme, action_id=f"a{n}") for n in range(300))
        before = Change.objects.count()
        assert acme.actions.all().delete()[0] == 301
        assert Change.objects.count() == before + 1

    def test_many_tenants_in_one_transaction_are_each_noted_once(self, connection: Connection, noted: Noted) -> None:
        with transaction.atomic():
            rows = [Tenant.objects.create(tenant_id=f"t{n}", name="T", connection=connection) for n in range(60)]
            for row in rows:
                row.save()
        assert noted() == {tenant_touch(row) for row in rows}
        assert Change.objects.filter(topic="tenant").count() == 60

    def test_a_policy_saved_with_its_limits_is_one_note(self, base_policy: QuotaPolicy) -> None:
        before = Change.objects.count()
        with transaction.atomic():
            base_policy.save()
            for limit in base_policy.limits.all():
                limit.save()
            QuotaLimit.objects.create(policy=base_policy, name="day", quota=1000, window_seconds=86_400)
        assert Change.objects.count() == before + 1


class TestTheBell:
    def test_the_bell_rings_once_after_the_commit_and_never_before(
        self, acme: Tenant, globex: Tenant, redis_url: str
    ) -> None:
        with redis.Redis.from_url(redis_url) as client, client.pubsub(ignore_subscribe_messages=True) as ears:
            ears.subscribe(bell())
            ears.get_message(timeout=HANG_S)
            with transaction.atomic():
                acme.save()
                globex.save()
                assert ears.get_message() is None
            assert ears.get_message(timeout=HANG_S) is not None
            client.publish(bell(), "the end")
            message = ears.get_message(timeout=HANG_S)
            assert message is not None and message["data"] == b"the end"

    def test_a_dead_bell_does_not_fail_the_edit(self, caplog: pytest.LogCaptureFixture) -> None:
        changes.ring("redis://127.0.0.1:1/0")
        assert "workers will look by themselves" in caplog.text


class TestReading:
    def test_ids_rise_and_only_the_newer_ones_are_read(self) -> None:
        for entity_id in (1, 2, 3):
            changes.record(Topic.TENANT, entity_id)
        first, second, third = changes.since(0)
        assert first.pk < second.pk < third.pk == changes.latest_id()
        assert changes.since(second.pk) == [third]
        assert changes.since(third.pk) == []

    def test_pruning_takes_the_old_ones_and_leaves_the_newest(self) -> None:
        for entity_id in (1, 2, 3):
            changes.record(Topic.TENANT, entity_id)
        old, newest = changes.since(0)[0], changes.latest_id()
        Change.objects.filter(pk=old.pk).update(at=timezone.now() - timedelta(hours=2))
        assert changes.prune() == 1
        Change.objects.update(at=timezone.now() - timedelta(hours=2))
        assert changes.prune() == 1
        assert changes.latest_id() == newest
        assert changes.prune() == 0

    def test_a_reader_that_was_gone_for_too_long_is_notified(self) -> None:
        changes.record(Topic.TENANT, 1)
        seen = changes.latest_id()
        changes.record(Topic.TENANT, 2)
        Change.objects.update(at=timezone.now() - timedelta(hours=2))
        changes.prune()
        with pytest.raises(ChangesLost):
            changes.since(seen)

    def test_rows_touched_of_late_come_with_their_newest_change(self) -> None:
        for entity_id in (1, 2, 1):
            changes.record(Topic.TENANT, entity_id)
        changes.record(Topic.POLICY, 9)
        Change.objects.filter(topic="policy").update(at=timezone.now() - timedelta(hours=2))
        first, second, again, _ = changes.since(0)
        assert first.entity_id == again.entity_id
        assert changes.recent(timedelta(hours=1)) == {
            Touch(Topic.TENANT, 1): again.pk,
            Touch(Topic.TENANT, 2): second.pk,
        }


def _noted_from_here() -> Noted:
    seen = changes.latest_id()

    def since_last_time() -> set[Touch]:
        nonlocal seen
        rows = changes.since(seen)
        seen = rows[-1].pk if rows else seen
        return {touch_of(row) for row in rows}

    return since_last_time


def _override(tenant: Tenant) -> Override:
    end = timezone.now() + timedelta(hours=1)
    return Override.objects.create(tenant=tenant, effect="factor", factor=2, ends_at=end, reason="sale")
