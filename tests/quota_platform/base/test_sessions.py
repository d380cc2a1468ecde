"""Who a session cookie belongs to, asked without Django's middleware."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from quota_platform.base.sessions import may_be_key, person_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(client: Client, admin_user: User) -> str:
    client.force_login(admin_user)
    return str(client.session.session_key)


def test_a_session_belongs_to_the_person_who_signed_in(key: str, admin_user: User) -> None:
    assert person_of(key) == admin_user


def test_a_person_who_was_switched_off_has_no_session(key: str, admin_user: User) -> None:
    User.objects.filter(pk=admin_user.pk).update(is_active=False)
    assert person_of(key) is None


def test_a_session_that_ended_belongs_to_nobody(key: str, client: Client) -> None:
    client.logout()
    assert person_of(key) is None


@pytest.mark.parametrize("key", [None, "", "a\0b"])
def test_what_no_session_is_called_is_not_looked_for(key: str | None) -> None:
    assert not may_be_key(key) and person_of(key) is None
