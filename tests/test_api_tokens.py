"""Tokens that are none are bounded by address at the management API, as made-up API keys are at the gateway."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings
from rest_framework.authtoken.models import Token

from quota_platform.base.api import tokens
from tenants.models import ApiToken
from tests.api_client import token_of

pytestmark = pytest.mark.django_db
MOST = 3


@pytest.fixture(autouse=True)
def few(settings: Settings) -> Iterator[None]:
    settings.ENV = settings.ENV.model_copy(update={"MAX_FAILED_KEYS_PER_MINUTE": MOST})
    tokens.presented.cache_clear()
    yield
    tokens.presented.cache_clear()


def get(token: str, address: str = "192.0.2.7") -> tuple[int, str]:
    response = Client(REMOTE_ADDR=address).get("/api/tenants/", headers={"Authorization": f"Token {token}"})
    return response.status_code, response.headers.get("Retry-After", "")


def test_wrong_tokens_of_one_address_are_looked_up_until_it_has_failed_too_often() -> None:
    with CaptureQueriesContext(connection) as queries:
        statuses = [get(f"wrong{number}")[0] for number in range(MOST + 5)]
    assert statuses == [401] * MOST + [429] * 5
    assert len([each for each in queries if "tenants_apitoken" in each["sql"]]) == MOST
    assert dataclasses.astuple(tokens.presented().failures.counts) == (MOST, 5)
    assert get("wrong", "192.0.2.8")[0] == 401


def test_a_refused_caller_gets_the_wait_in_a_problem_document() -> None:
    for number in range(MOST):
        get(f"wrong{number}")
    response = Client(REMOTE_ADDR="192.0.2.7").get("/api/tenants/", headers={"Authorization": "Token wrong"})
    assert (response.status_code, response.headers["content-type"]) == (429, "application/problem+json")
    assert 1 <= int(response.headers["retry-after"]) <= 60 // MOST
    assert "invalid tokens" in response.json()["detail"]


def test_a_token_in_use_is_not_affected_by_its_neighbours(admin_user: User) -> None:
    key = token_of(admin_user)
    assert get(key)[0] == 200
    for number in range(MOST + 1):
        get(f"wrong{number}")
    assert get(key)[0] == 200
    other = token_of(User.objects.create_superuser("other"))
    assert get(other)[0] == 429, "nobody has seen it here yet"
    ApiToken.objects.filter(user=admin_user).update(revoked_at=timezone.now())
    assert [get(key)[0] for _ in range(2)] == [401, 429]


def post(token: str) -> int:
    headers = {"Authorization": f"Token {token}"}
    return Client().post("/api/tenants/", "{}", content_type="application/json", headers=headers).status_code


def test_only_the_hash_of_a_token_is_stored(admin_user: User) -> None:
    row, token = ApiToken.objects.issue(user=admin_user, name="report")
    dump = io.StringIO()
    call_command("dumpdata", "tenants", stdout=dump)
    assert row.digest in dump.getvalue() and token not in dump.getvalue()
    assert token.startswith(row.hint)


def test_a_token_that_may_only_read_changes_nothing(admin_user: User) -> None:
    token = ApiToken.objects.issue(user=admin_user, name="report", scope=ApiToken.Scope.READ)[1]
    assert (get(token)[0], post(token)) == (200, 403)
    assert post(token_of(admin_user)) == 400


def test_a_token_opens_nothing_once_it_has_expired_or_is_revoked_or_its_owner_is_switched_off(admin_user: User) -> None:
    row, token = ApiToken.objects.issue(user=admin_user, name="report")
    past = timezone.now() - timedelta(seconds=1)
    old = ApiToken.objects.issue(user=admin_user, name="old", expires_at=past)[1]
    assert (get(token)[0], get(old)[0]) == (200, 401)
    row.revoke()
    assert get(token)[0] == 401
    other = token_of(admin_user)
    User.objects.update(is_active=False)
    assert get(other, "192.0.2.9")[0] == 401


def test_the_use_of_a_token_is_noted_and_not_with_each_request(admin_user: User) -> None:
    token = ApiToken.objects.issue(user=admin_user, name="report")[1]
    get(token)
    first = ApiToken.objects.get().last_used_at
    get(token)
    assert first is not None and ApiToken.objects.get().last_used_at == first
    ApiToken.objects.update(last_used_at=first - timedelta(hours=1))
    get(token)
    noted = ApiToken.objects.get().last_used_at
    assert noted is not None and noted > first - timedelta(minutes=1)


def test_the_first_release_s_tokens_go_on_opening_the_api(admin_user: User) -> None:
    key = Token.objects.create(user=admin_user).key
    migration = import_module("tenants.migrations.0014_take_over_the_first_release_s_tokens")
    for _ in range(2):
        migration.hash_tokens(apps, SimpleNamespace(connection=connection))
    assert get(key)[0] == 200
    assert ApiToken.objects.get().hint == key[:8]


def test_the_commands_print_a_token_that_works(admin_user: User) -> None:
    printed = io.StringIO()
    call_command("create_api_token", "root", name="nightly", scope="read", days=1, stdout=printed)
    call_command("drf_create_token", "root", stdout=printed)
    named, old_name = printed.getvalue().splitlines()
    assert old_name.startswith("Generated token ") and old_name.endswith(" for user root")
    first = old_name.split()[2]
    assert (get(named)[0], post(named), get(first)[0]) == (200, 403, 200)
    call_command("drf_create_token", "-r", "root", stdout=printed)
    assert (get(first)[0], get(printed.getvalue().split()[-4])[0], get(named)[0]) == (401, 200, 200)
    with pytest.raises(CommandError, match="no user 'nobody'"):
        call_command("create_api_token", "nobody")
