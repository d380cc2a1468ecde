"""A sealed secret opens only where it belongs, and only with a key that is configured."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from quota_platform.base import secrets
from quota_platform.base.secrets import SecretUnreadable


def test_a_secret_opens_for_its_purpose() -> None:
    sealed = secrets.seal("hünter2\n", purpose="connection:1:client_secret")

    assert secrets.unseal(sealed, purpose="connection:1:client_secret") == "hünter2\n"
    assert "hünter2" not in sealed
    assert secrets.seal("hünter2\n", purpose="connection:1:client_secret") != sealed


@pytest.mark.parametrize("purpose", ["connection:2:client_secret", "connection:1:access_key_secret", ""])
def test_a_secret_moved_elsewhere_does_not_open(purpose: str) -> None:
    sealed = secrets.seal("hunter2", purpose="connection:1:client_secret")

    with pytest.raises(SecretUnreadable, match="sealed for something else"):
        secrets.unseal(sealed, purpose=purpose)


@pytest.mark.parametrize("stored", ["hunter2", "", "v1:", "v1:gAAAAAhunter2", "v2:gAAAAA"])
def test_a_value_that_is_not_sealed_is_reported_without_showing_it(stored: str) -> None:
    with pytest.raises(SecretUnreadable) as caught:
        secrets.unseal(stored, purpose="p")
    assert "hunter2" not in str(caught.value)


def test_keys_rotate_without_losing_a_secret(settings: Settings) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.SECRETS_KEYS = [old]
    sealed = secrets.seal("hunter2", purpose="p")

    settings.SECRETS_KEYS = [new, old]
    resealed = secrets.reseal(sealed)
    settings.SECRETS_KEYS = [new]

    assert secrets.unseal(resealed, purpose="p") == "hunter2"
    with pytest.raises(SecretUnreadable, match="SECRETS_KEYS"):
        secrets.unseal(sealed, purpose="p")


def test_a_key_that_is_no_key_stops_the_start(settings: Settings) -> None:
    settings.SECRETS_KEYS = ["short"]
    with pytest.raises(ImproperlyConfigured, match="make_secrets_key"):
        secrets.box()
