"""``/api/policies/<id>/versions`` and ``restore``: what each version said, and putting one back."""

from __future__ import annotations

from typing import Any

import pytest

from limiter.models import QuotaLimit, QuotaPolicy
from limiter.policies.models.version import one_version
from tests.api_client import ANY, as_read, editor, errors, person

pytestmark = pytest.mark.django_db
RIGHTS = ("limiter.view_quotapolicy", "limiter.view_quotalimit", "limiter.change_quotapolicy")


@pytest.fixture
def policy() -> QuotaPolicy:
    """Version 1: ``minute`` 100. Version 2: 50, and ``hour`` beside it."""
    with one_version():
        policy = QuotaPolicy.objects.create(name="Gold")
        minute = QuotaLimit.objects.create(policy=policy, name="minute", quota=100, window_seconds=60)
    with one_version("quieter"):
        minute.quota = 50
        minute.save()
        QuotaLimit.objects.create(policy=policy, name="hour", quota=500, window_seconds=3_600)
    policy.refresh_from_db()
    assert policy.version == 2
    return policy


def restore(client: Any, policy: QuotaPolicy, *, headers: dict[str, str], **body: Any) -> Any:
    return client.post(f"/api/policies/{policy.pk}/restore/", body, headers=headers)


def limits(policy: QuotaPolicy) -> dict[str, int]:
    return dict(policy.limits.values_list("name", "quota"))


def test_the_versions_are_listed_newest_first_in_sentences(policy: QuotaPolicy) -> None:
    rows = editor().get(f"/api/policies/{policy.pk}/versions/").json()["results"]
    assert [(row["version"], row["reason"]) for row in rows] == [(2, "quieter"), (1, "")]
    assert "50" in " ".join(rows[0]["says"]) and "100" in " ".join(rows[1]["says"])


def test_a_version_is_put_back_with_its_limits_as_a_new_one(policy: QuotaPolicy) -> None:
    client = editor()
    response = restore(client, policy, headers=as_read(client, f"/api/policies/{policy.pk}/"), version=1, reason="back")
    assert response.status_code == 200
    assert (response.json()["version"], limits(policy)) == (3, {"minute": 100})
    assert response["ETag"] == client.get(f"/api/policies/{policy.pk}/")["ETag"]
    newest = policy.history.latest()
    assert (newest.history_change_reason, newest.history_user.username) == ("back", "ana")


def test_it_needs_the_tag_of_the_policy_as_it_was_read(policy: QuotaPolicy) -> None:
    client = editor()
    read = as_read(client, f"/api/policies/{policy.pk}/")
    assert restore(client, policy, headers={}, version=1).status_code == 428
    policy.description = "changed meanwhile"
    policy.save()
    assert restore(client, policy, headers=read, version=1).status_code == 412
    assert limits(policy) == {"minute": 50, "hour": 500}


def test_a_version_that_is_not_there_or_breaks_a_rule_of_today_is_refused(policy: QuotaPolicy) -> None:
    client = editor()
    assert restore(client, policy, headers=ANY, version=9).status_code == 404
    policy.name = "Silver"
    policy.save()
    QuotaPolicy.objects.create(name="Gold")
    assert "version" in errors(restore(client, policy, headers=ANY, version=1))
    assert set(errors(restore(client, policy, headers=ANY, version=1, limits=[]))) == {"limits"}
    assert limits(policy) == {"minute": 50, "hour": 500}


def test_it_needs_the_rights_for_what_happens_to_the_limits(policy: QuotaPolicy) -> None:
    assert restore(person(*RIGHTS[:2]), policy, headers=ANY, version=1).status_code == 403
    some = person(*RIGHTS, "limiter.change_quotalimit", name="eve")
    assert restore(some, policy, headers=ANY, version=1).status_code == 403, "it removes the limit of the hour"
    all_of_them = person(*RIGHTS, "limiter.change_quotalimit", "limiter.delete_quotalimit", name="ida")
    assert restore(all_of_them, policy, headers=ANY, version=1).status_code == 200
