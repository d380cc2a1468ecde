"""Second factors under the newest of SECRETS_KEYS: allauth keeps them in JSON, not in columns of their own."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from django.db import transaction

from quota_platform.base import secrets, versions
from quota_platform.base.rotation import Rotation

PURPOSE = "second_factor"
_SEALED = ("secret", "seed")


def rotate(done: Rotation) -> None:
    """Seal the secrets of all authenticators again, each row in a transaction of its own."""
    for pk in Authenticator.objects.values_list("pk", flat=True):
        with transaction.atomic():
            row = versions.locked(Authenticator.objects.filter(pk=pk)).first()
            for name in _SEALED if row is not None else ():
                _rotate(row, name, done)


def _rotate(row: Any, name: str, done: Rotation) -> None:
    if name not in row.data:
        return
    try:
        secrets.unseal(row.data[name], purpose=PURPOSE)
    except secrets.SecretUnreadable:
        done.unreadable.append(f"{row.user.get_username()} ({row.type})")
        return
    row.data[name] = secrets.reseal(row.data[name])
    row.save(update_fields=["data"])
    done.resealed += 1
