"""Wrong passwords: the accounts and addresses they pause, for how long, and those they leave alone."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache as shared
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from quota_platform.accounts.attempts import FIRST_PAUSE_S, MAX_PAUSE_S

PASSWORD = "a-long-test-password"
HERE, THERE = "198.51.100.7", "203.0.113.9"

cache: Any = shared
"""django-redis: Django's own interface cannot list names."""

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]


@pytest.fixture
def page() -> str:
    return reverse("account_login")


def sign_in(page: str, name: str = "root", password: str = "wrong", address: str = HERE, **headers: str) -> int:
    return wait(page, name, password, address, **headers)[0]


def wait(
    page: str, name: str = "root", password: str = "wrong", address: str = HERE, **headers: str
) -> tuple[int, int]:
    """The status, and the seconds that Retry-After names."""
    response = Client(REMOTE_ADDR=address, headers=headers).post(page, {"username": name, "password": password})
    return response.status_code, int(response.headers.get("Retry-After", 0))


def end_pauses() -> None:
    cache.delete_pattern("sign-in:*:until")


def test_five_wrong_passwords_pause_an_account_for_their_address(page: str, admin_user: User) -> None:
    assert [sign_in(page) for _ in range(5)] == [200, 200, 200, 200, 429]
    assert sign_in(page, password=PASSWORD) == 429


def test_a_pause_says_when_it_ends(page: str, admin_user: User) -> None:
    for _ in range(5):
        status, seconds = wait(page)
    assert (status, seconds) == (429, FIRST_PAUSE_S)
    status, seconds = wait(page, password=PASSWORD)
    assert status == 429 and 0 < seconds <= FIRST_PAUSE_S
    end_pauses()
    assert sign_in(page, password=PASSWORD) == 302


def test_the_account_signs_in_from_another_address_and_another_account_from_this_one(
    page: str, admin_user: User
) -> None:
    User.objects.create_superuser("other", "other@example.com", PASSWORD)
    for _ in range(6):
        sign_in(page)
    assert sign_in(page, password=PASSWORD, address=THERE) == 302
    assert sign_in(page, name="other", password=PASSWORD) == 302


def test_a_forwarded_address_that_no_proxy_vouches_for_changes_nothing(page: str, admin_user: User) -> None:
    statuses = [sign_in(page, **{"X-Forwarded-For": f"192.0.2.{number}"}) for number in range(6)]
    assert statuses[-1] == 429


def test_each_pause_is_twice_the_last_up_to_an_hour(page: str, admin_user: User) -> None:
    pauses = []
    for _ in range(8):
        for _ in range(5):
            _, seconds = wait(page)
        pauses.append(seconds)
        end_pauses()
    assert pauses == [min(MAX_PAUSE_S, FIRST_PAUSE_S * 2**number) for number in range(8)]


def test_a_sign_in_begins_the_account_s_count_again(page: str, admin_user: User) -> None:
    assert [sign_in(page) for _ in range(4)] == [200] * 4
    assert sign_in(page, password=PASSWORD) == 302
    assert [sign_in(page) for _ in range(4)] == [200] * 4


def test_an_address_that_tries_many_accounts_is_paused_for_all(page: str, admin_user: User) -> None:
    statuses = [sign_in(page, name=f"name-{number}") for number in range(50)]
    assert statuses == [200] * 49 + [429]
    assert sign_in(page, password=PASSWORD) == 429
    assert sign_in(page, password=PASSWORD, address=THERE) == 302


def test_an_ipv6_network_of_one_household_is_one_address(page: str, admin_user: User) -> None:
    statuses = [sign_in(page, address=f"2001:db8:1:2::{number}") for number in range(6)]
    assert statuses[-1] == 429
    assert sign_in(page, password=PASSWORD, address="2001:db8:1:3::1") == 302


def test_an_unknown_account_is_paused_like_a_known_one(page: str, admin_user: User) -> None:
    assert [wait(page, name="nobody") for _ in range(6)][-2:] == [wait(page) for _ in range(6)][-2:]


def test_no_name_of_the_shared_cache_tells_an_account_or_an_address(page: str, admin_user: User) -> None:
    sign_in(page)
    names = " ".join(cache.keys("sign-in:*"))
    assert names and "root" not in names and HERE not in names


def test_while_the_shared_cache_is_unavailable_people_sign_in(page: str, admin_user: User, settings: Settings) -> None:
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    assert [sign_in(page) for _ in range(6)] == [200] * 6
    assert sign_in(page, password=PASSWORD) == 302
