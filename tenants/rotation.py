"""Moving stored secrets to the newest of SECRETS_KEYS."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db import transaction

from tenants import secrets
from tenants.models import Connection

SUFFIX = "_sealed"


@dataclass(slots=True)
class Rotation:
    """What a rotation did. ``unreadable`` names connection and secret, never a value."""

    resealed: int = 0
    unreadable: list[str] = field(default_factory=list)


def sealed_fields() -> list[str]:
    """The fields of a connection that hold a sealed secret: those named ``<secret>_sealed``."""
    return [f.name for f in Connection._meta.concrete_fields if f.name.endswith(SUFFIX)]


def rotate_secrets() -> Rotation:
    """Seal all secrets of all connections again, each connection in a transaction of its own.

    Goes through ``save()``, so that workers load the newly sealed value before an old key is taken away.
    """
    done = Rotation()
    for pk in Connection.objects.values_list("pk", flat=True):
        with transaction.atomic():
            row = Connection.objects.select_for_update().filter(pk=pk).first()
            if row is not None:
                _rotate(row, done)
    return done


def _rotate(row: Connection, done: Rotation) -> None:
    changed = []
    for name in filter(lambda name: getattr(row, name), sealed_fields()):
        secret = name.removesuffix(SUFFIX)
        try:
            secrets.unseal(getattr(row, name), purpose=f"connection:{row.uid}:{secret}")
        except secrets.SecretUnreadable:
            done.unreadable.append(f"{row.name} ({secret})")
        else:
            setattr(row, name, secrets.reseal(getattr(row, name)))
            changed.append(name)
    if changed:
        row.save(update_fields=changed)
        done.resealed += len(changed)
