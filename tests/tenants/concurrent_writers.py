"""Two who read the same version of a row and both write, on PostgreSQL: one wins, and nothing is lost.

Not collected on SQLite, which has one writer at a time; tests/test_on_postgres.py runs it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from limiter.models import AlertHook, QuotaPolicy
from quota_platform.base import versions
from tenants.models import Tenant
from tests.api_client import signed_in
from tests.filled_form import filled_form
from tests.patience import until
from tests.rows import a_hook, a_key, an_export

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url")]
WRITERS, WORDS = 4, 5


def at_once(work: Callable[[int], Any], writers: int = 2) -> list[Any]:
    ready = Barrier(writers)

    def one(number: int) -> Any:
        try:
            ready.wait()
            return work(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(writers) as pool:
        return list(pool.map(one, range(writers)))


def race(user: User, path: str, changes: list[dict[str, Any]]) -> list[int]:
    """Both read, then both write; the responses."""
    clients = [signed_in(user), signed_in(user)]
    read = [client.get(path)["ETag"] for client in clients]

    def write(number: int) -> int:
        return clients[number].patch(path, changes[number], headers={"If-Match": read[number]}).status_code

    return sorted(at_once(write))


@pytest.mark.parametrize("_round", range(5))
def test_of_two_writes_of_one_version_one_wins(admin_user: User, acme: Tenant, _round: int) -> None:
    assert race(admin_user, "/api/tenants/acme/", [{"status": "suspended"}, {"notes": "a note"}]) == [200, 412]
    acme.refresh_from_db()
    assert (acme.status, acme.notes) in [("suspended", ""), ("active", "a note")]


def test_of_two_lists_of_limits_one_wins(admin_user: User, base_policy: QuotaPolicy) -> None:
    lines = [{"limits": [{"name": name, "quota": 1, "window_seconds": 60}]} for name in ("one", "two")]
    assert race(admin_user, f"/api/policies/{base_policy.pk}/", lines) == [200, 412]
    assert base_policy.limits.count() == 1


def test_of_a_change_and_a_deletion_one_wins(admin_user: User, acme: Tenant, settings: Settings) -> None:
    settings.ENV = settings.ENV.model_copy(update={"ALERT_HOOK_HOSTS": ["hooks.example.com"]})
    hook = a_hook(acme)
    path, client = f"/api/alert-hooks/{hook.pk}/", signed_in(admin_user)
    headers = {"If-Match": client.get(path)["ETag"]}
    work = (
        lambda: client.patch(path, {"enabled": False}, headers=headers).status_code,
        lambda: signed_in(admin_user).delete(path, headers=headers).status_code,
    )
    responses = at_once(lambda number: work[number]())
    assert responses in ([200, 412], [404, 204])
    assert AlertHook.objects.exists() is (responses == [200, 412])


def test_reading_locks_nothing_and_needs_no_transaction(admin_user: User) -> None:
    export = an_export(state="done", requested_by=admin_user, manifest={"rows": 1})
    assert signed_in(admin_user).get(f"/api/exports/{export.pk}/manifest/").json() == {"rows": 1}


@pytest.mark.parametrize("_round", range(3))
def test_of_two_forms_opened_at_once_one_is_saved(admin_user: User, acme: Tenant, _round: int) -> None:
    browsers = [Client(), Client()]
    url = reverse("admin:tenants_tenant_change", args=[acme.pk])
    forms = []
    for browser, change in zip(browsers, ({"status": "suspended"}, {"notes": "a note"}), strict=True):
        browser.force_login(admin_user)
        forms.append({**filled_form(browser.get(url).content), **change})
    responses = sorted(at_once(lambda number: browsers[number].post(url, forms[number]).status_code))
    acme.refresh_from_db()
    assert responses == [302, 409]
    assert (acme.status, acme.notes) in [("suspended", ""), ("active", "a note")]


def test_of_a_form_and_a_call_of_the_api_one_wins(admin_user: User, acme: Tenant) -> None:
    browser, client = Client(), signed_in(admin_user)
    browser.force_login(admin_user)
    url, path = reverse("admin:tenants_tenant_change", args=[acme.pk]), "/api/tenants/acme/"
    form = {**filled_form(browser.get(url).content), "notes": "a note"}
    headers = {"If-Match": client.get(path)["ETag"]}
    work = (
        lambda: browser.post(url, form).status_code,
        lambda: client.patch(path, {"status": "suspended"}, headers=headers).status_code,
    )
    assert at_once(lambda number: work[number]()) in ([302, 412], [409, 200])


def test_a_version_of_a_policy_is_put_back_in_a_transaction_of_its_own(admin_user: User) -> None:
    policy = QuotaPolicy.objects.create(name="Gold")
    first = policy.history.latest().pk
    policy.mode = "shadow"
    policy.save()
    browser, url = Client(), reverse("admin:limiter_quotapolicy_simple_history", args=[policy.pk, first])
    browser.force_login(admin_user)
    assert browser.post(url, filled_form(browser.get(url).content)).status_code == 302
    policy.refresh_from_db()
    assert policy.mode == "enforce"


def test_a_tenant_that_goes_waits_for_its_hook_that_is_edited_and_holds_nothing(acme: Tenant) -> None:
    hook = a_hook(acme)
    a_key(acme)

    def delete() -> int:
        try:
            return acme.delete()[0]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            row = versions.locked(AlertHook.objects.filter(pk=hook.pk)).get()
            gone = pool.submit(delete)
            until(somebody_waits, what="somebody_waits")
            row.name = "Day"
            row.save()
        assert gone.result() > 1


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_words_of_many_writers_who_read_again_when_refused_are_all_there(admin_user: User, acme: Tenant) -> None:
    def write(number: int) -> None:
        client, path = signed_in(admin_user), "/api/tenants/acme/"
        for word in (f"{number}.{count}" for count in range(WORDS)):
            status = 412
            while status == 412:
                read = client.get(path)
                change = {"notes": f"{read.json()['notes']} {word}"}
                status = client.patch(path, change, headers={"If-Match": read["ETag"]}).status_code
            assert status == 200

    at_once(write, WRITERS)
    acme.refresh_from_db()
    assert sorted(acme.notes.split()) == sorted(f"{n}.{c}" for n in range(WRITERS) for c in range(WORDS))
