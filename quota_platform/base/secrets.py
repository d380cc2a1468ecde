"""Secrets at rest: sealed with MultiFernet, and bound to the one place they may be opened for."""

from __future__ import annotations

import json
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from quota_platform.base.kept import kept_text

_MARK = "v1:"
_NOT_SEALED = kept_text("the stored value for {purpose} is not sealed")
_NO_KEY = kept_text("no key in SECRETS_KEYS opens the value for {purpose}")
_MOVED = kept_text("the value stored for {purpose} was sealed for something else")


class SecretUnreadable(Exception):
    """A sealed value that no configured key opens, or that was sealed for another purpose."""


@lru_cache(maxsize=4)
def _box(keys: tuple[str, ...]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError as error:
        raise ImproperlyConfigured(
            "SECRETS_KEYS: each key must be 32 url-safe base64 bytes; make one with `python manage.py make_secrets_key`"
        ) from error


def box() -> MultiFernet:
    """The configured keys, newest first: the first seals, all of them open."""
    return _box(tuple(settings.SECRETS_KEYS))


def seal(plain: str, *, purpose: str) -> str:
    """Encrypt ``plain`` for ``purpose`` (for instance ``connection:<uid>:client_secret``).

    Fernet has no associated data, so the purpose travels inside the ciphertext and is compared on opening:
    somebody who can write to the database cannot move a secret from one tenant's row to another's.
    """
    return _MARK + box().encrypt(json.dumps([purpose, plain]).encode()).decode()


def unseal(sealed: str, *, purpose: str) -> str:
    """The plain value; raises :class:`SecretUnreadable` when the keys or the purpose do not match."""
    if not sealed.startswith(_MARK):
        raise SecretUnreadable(_NOT_SEALED.format(purpose=purpose))
    try:
        sealed_for, plain = json.loads(box().decrypt(sealed.removeprefix(_MARK)))
    except InvalidToken:
        raise SecretUnreadable(_NO_KEY.format(purpose=purpose)) from None
    if sealed_for != purpose:
        raise SecretUnreadable(_MOVED.format(purpose=purpose))
    return str(plain)


def reseal(sealed: str) -> str:
    """The same secret under the newest key, for key rotation."""
    return _MARK + box().rotate(sealed.removeprefix(_MARK).encode()).decode()
