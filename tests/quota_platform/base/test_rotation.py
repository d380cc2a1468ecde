"""Rotating the keys that seal secrets: afterwards the newest key alone opens everything."""

from __future__ import annotations

from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from pytest_django import Settings

from quota_platform.base import rotation, secrets
from tenants.models import Connection

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture
def sealed_with_the_old_key(connection: Connection, settings: Settings) -> Connection:
    settings.SECRETS_KEYS = [OLD]
    connection.set_client_secret("canary-client-secret")
    connection.set_access_key_secret("canary-access-key-secret")
    connection.save()
    return connection


def opened(row: Connection, secret: str) -> str:
    return secrets.unseal(getattr(row, f"{secret}_sealed"), purpose=f"connection:{row.uid}:{secret}")


def test_the_old_key_can_be_dropped_after_a_rotation(sealed_with_the_old_key: Connection, settings: Settings) -> None:
    settings.SECRETS_KEYS = [NEW, OLD]
    assert rotation.rotate_secrets() == rotation.Rotation(resealed=2, unreadable=[])
    settings.SECRETS_KEYS = [NEW]
    row = Connection.objects.get(pk=sealed_with_the_old_key.pk)
    assert opened(row, "client_secret") == "canary-client-secret"
    assert opened(row, "access_key_secret") == "canary-access-key-secret"


def test_a_secret_that_no_key_opens_is_named_and_left_alone(
    sealed_with_the_old_key: Connection, settings: Settings
) -> None:
    before = sealed_with_the_old_key.client_secret_sealed
    settings.SECRETS_KEYS = [NEW]
    with pytest.raises(CommandError, match=r"sandbox \(client_secret\); sandbox \(access_key_secret\)"):
        call_command("rotate_secrets", stdout=StringIO())
    sealed_with_the_old_key.refresh_from_db()
    assert sealed_with_the_old_key.client_secret_sealed == before


def test_a_secret_moved_from_another_row_is_not_made_valid_here(
    sealed_with_the_old_key: Connection, settings: Settings
) -> None:
    stranger = Connection(name="stranger", base_url="https://api-na1.niceincontact.com", client_id="other")
    stranger.client_secret_sealed = sealed_with_the_old_key.client_secret_sealed
    stranger.save()
    settings.SECRETS_KEYS = [NEW, OLD]
    assert rotation.rotate_secrets().unreadable == ["stranger (client_secret)"]


def test_an_empty_secret_stays_empty(connection: Connection) -> None:
    connection.access_key_secret_sealed = ""
    connection.save()
    assert rotation.rotate_secrets() == rotation.Rotation(resealed=1, unreadable=[])


def test_a_made_key_seals_and_opens(settings: Settings) -> None:
    out = StringIO()
    call_command("make_secrets_key", stdout=out)
    settings.SECRETS_KEYS = [out.getvalue().strip()]
    assert secrets.unseal(secrets.seal("plain", purpose="test"), purpose="test") == "plain"


def test_no_two_made_keys_are_the_same() -> None:
    first, second = StringIO(), StringIO()
    call_command("make_secrets_key", stdout=first)
    call_command("make_secrets_key", stdout=second)
    assert first.getvalue() != second.getvalue()
