"""Tokens that are none are bounded by address at the management API, as made-up API keys are at the gateway."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rest_framework.authtoken.models import Token

from quota_platform.base.api import tokens

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
    assert len([each for each in queries if "authtoken" in each["sql"]]) == MOST
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
    key = Token.objects.create(user=admin_user).key
    assert get(key)[0] == 200
    for number in range(MOST + 1):
        get(f"wrong{number}")
    assert get(key)[0] == 200
    other = Token.objects.create(user=User.objects.create_superuser("other"))
    assert get(other.key)[0] == 429, "nobody has seen it here yet"
    Token.objects.filter(key=key).delete()
    assert [get(key)[0] for _ in range(2)] == [401, 429]
