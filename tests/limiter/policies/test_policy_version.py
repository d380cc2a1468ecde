"""A policy's version rises with every edit of its content, and an earlier version can be put back whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from limiter.models import QuotaLimit, QuotaPolicy
from limiter.policies.models.version import one_version
from limiter.policies.versions import Difference, limit_differences, limits_by_version, restore, version_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def policy() -> QuotaPolicy:
    """Version 1: ``minute`` 100 per 60 s and ``day`` 1,000 per day."""
    with one_version():
        policy = QuotaPolicy.objects.create(name="Gold")
        QuotaLimit.objects.create(policy=policy, name="minute", quota=100, window_seconds=60)
        QuotaLimit.objects.create(policy=policy, name="day", quota=1000, window_seconds=86_400)
    return policy


def stored_version(policy: QuotaPolicy) -> int:
    return QuotaPolicy.objects.get(pk=policy.pk).version


def says(policy: QuotaPolicy) -> dict[str, int]:
    return dict(policy.limits.values_list("name", "quota"))


def said_at(policy_id: int, version: int) -> dict[str, int]:
    then = version_of(policy_id, version)
    assert then is not None
    return {line.name: line.quota for line in then.limits}


def test_a_policy_made_in_one_edit_with_its_limits_is_version_1(policy: QuotaPolicy) -> None:
    assert (policy.version, stored_version(policy)) == (1, 1)


def test_every_change_of_a_limit_raises_the_version(policy: QuotaPolicy) -> None:
    limit = policy.limits.get(name="minute")
    limit.quota = 50
    limit.save()
    assert stored_version(policy) == 2
    QuotaLimit.objects.create(policy=policy, name="hour", quota=500, window_seconds=3600)
    assert stored_version(policy) == 3
    limit.delete()
    assert stored_version(policy) == 4


def test_a_bulk_delete_of_limits_raises_each_policy_once(policy: QuotaPolicy) -> None:
    other = QuotaPolicy.objects.create(name="Silver")
    QuotaLimit.objects.create(policy=other, name="minute", quota=1, window_seconds=60)
    before = stored_version(other)
    QuotaLimit.objects.all().delete()
    assert (stored_version(policy), stored_version(other)) == (2, before + 1)


def test_one_edit_raises_once_however_much_it_touches(policy: QuotaPolicy) -> None:
    with one_version():
        policy.mode = "shadow"
        policy.save()
        policy.limits.filter(name="day").delete()
        for name in ("hour", "week"):
            QuotaLimit.objects.create(policy=policy, name=name, quota=5, window_seconds=60)
        policy.save()
    assert (policy.version, stored_version(policy)) == (2, 2)


def test_the_edit_s_reason_reaches_every_history_row(policy: QuotaPolicy) -> None:
    with one_version("Black Friday"):
        policy.limits.get(name="day").save()
    reasons = {
        QuotaPolicy.history.latest().history_change_reason,
        QuotaLimit.history.latest().history_change_reason,
    }
    assert reasons == {"Black Friday"}


def test_two_people_who_loaded_the_same_version_get_different_ones(policy: QuotaPolicy) -> None:
    mine, yours = QuotaPolicy.objects.get(pk=policy.pk), QuotaPolicy.objects.get(pk=policy.pk)
    mine.save()
    yours.save()
    assert (mine.version, yours.version) == (2, 3)


@pytest.mark.django_db(transaction=True)
def test_editors_at_the_same_moment_never_share_a_version(policy: QuotaPolicy) -> None:
    editors, edits = ("minute", "day"), 5

    def edit(name: str) -> None:
        try:
            for quota in range(1, edits + 1):
                limit = QuotaLimit.objects.get(policy=policy, name=name)
                limit.quota = quota
                limit.save()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(editors)) as threads:
        list(threads.map(edit, editors))

    assert stored_version(policy) == 1 + len(editors) * edits
    given = QuotaLimit.history.filter(history_type="~").values_list("policy_version", flat=True)
    assert sorted(given) == list(range(2, 2 + len(editors) * edits))


def test_an_edit_rolled_back_half_way_still_raises_on_its_next_save(policy: QuotaPolicy) -> None:
    with one_version():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            policy.save()
            raise ZeroDivisionError
        policy.save()
    assert stored_version(policy) == 2


def test_saving_some_fields_saves_the_version_too(policy: QuotaPolicy) -> None:
    policy.description = "for the big ones"
    policy.save(update_fields=["description"])
    assert stored_version(policy) == 2


def test_each_version_remembers_its_limits(policy: QuotaPolicy) -> None:
    limit = policy.limits.get(name="minute")
    limit.quota = 50
    limit.save()
    policy.limits.filter(name="day").delete()
    pk = policy.pk
    policy.delete()
    assert [said_at(pk, version) for version in (1, 2, 3)] == [
        {"minute": 100, "day": 1000},
        {"minute": 50, "day": 1000},
        {"minute": 50},
    ]


def test_the_limits_of_many_versions_take_one_query(policy: QuotaPolicy, django_assert_num_queries: Any) -> None:
    for quota in range(1, 6):
        limit = policy.limits.get(name="minute")
        limit.quota = quota
        limit.save()
    with django_assert_num_queries(1):
        found = limits_by_version(policy.pk, range(1, 7))
    assert [{line.name: line.quota for line in lines}["minute"] for lines in found.values()] == [100, 1, 2, 3, 4, 5]


def test_differences_name_the_field_and_both_values(policy: QuotaPolicy) -> None:
    with one_version():
        limit = policy.limits.get(name="minute")
        limit.quota, limit.algorithm = 2000, "sliding_counter"
        limit.save()
        policy.limits.filter(name="day").delete()
        QuotaLimit.objects.create(policy=policy, name="hour", quota=5, window_seconds=3600)
    found = limits_by_version(policy.pk, [1, 2])
    assert limit_differences(found[1], found[2]) == [
        Difference("Limit minute: algorithm", "sliding log: exact", "sliding counter: for very large limits"),
        Difference("Limit minute: limit", "100", "2,000"),
        Difference("Limit day", "day 1,000 per day", ""),
        Difference("Limit hour", "", "hour 5 per hour"),
    ]


def test_restoring_brings_back_the_policy_and_its_limits_as_a_new_version(policy: QuotaPolicy) -> None:
    with one_version():
        policy.mode = "shadow"
        policy.save()
        limit = policy.limits.get(name="minute")
        limit.quota = 1
        limit.save()
        policy.limits.filter(name="day").delete()
        QuotaLimit.objects.create(policy=policy, name="hour", quota=5, window_seconds=3600)

    restored = restore(policy.pk, version=1, reason="too strict")

    policy.refresh_from_db()
    assert (policy.version, restored.version) == (3, 3)
    assert policy.mode == "enforce"
    assert says(policy) == said_at(policy.pk, 1) == said_at(policy.pk, 3) == {"minute": 100, "day": 1000}
    assert said_at(policy.pk, 2) == {"minute": 1, "hour": 5}
    assert QuotaPolicy.history.latest().history_change_reason == "too strict"


def test_restoring_survives_limits_that_swapped_their_names(policy: QuotaPolicy) -> None:
    minute, day = policy.limits.get(name="minute"), policy.limits.get(name="day")
    with one_version():
        for line, name in ((minute, "x"), (day, "minute"), (minute, "day")):
            line.name = name
            line.save()
    assert says(policy) == {"day": 100, "minute": 1000}
    restore(policy.pk, version=1)
    assert says(policy) == {"minute": 100, "day": 1000}


def test_a_deleted_policy_comes_back_above_all_its_versions(policy: QuotaPolicy) -> None:
    pk = policy.pk
    policy.delete()
    restored = restore(pk, version=1)
    assert restored.version == 3
    assert says(QuotaPolicy.objects.get(pk=pk)) == {"minute": 100, "day": 1000}


def test_a_restore_that_breaks_a_rule_of_today_changes_nothing(policy: QuotaPolicy) -> None:
    policy.name = "Old Gold"
    policy.save()
    policy.limits.all().delete()
    QuotaPolicy.objects.create(name="Gold")
    with pytest.raises(ValidationError, match="already exists"):
        restore(policy.pk, version=1)
    assert (stored_version(policy), says(policy)) == (3, {})


def test_a_version_that_never_was_is_not_restored(policy: QuotaPolicy) -> None:
    with pytest.raises(LookupError, match="no version 9"):
        restore(policy.pk, version=9)


def test_a_limit_cannot_move_to_another_policy(policy: QuotaPolicy) -> None:
    limit = policy.limits.get(name="minute")
    limit.policy = QuotaPolicy.objects.create(name="Silver")
    with pytest.raises(ValidationError) as caught:
        limit.full_clean()
    assert "policy" in caught.value.message_dict
