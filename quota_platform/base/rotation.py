"""Moving stored secrets to the newest of SECRETS_KEYS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import transaction

from quota_platform.base import secrets, versions

SUFFIX = "_sealed"


@dataclass(slots=True)
class Rotation:
    """What a rotation did. ``unreadable`` names row and secret, never a value."""

    resealed: int = 0
    unreadable: list[str] = field(default_factory=list)


def sealing_models() -> list[type[Any]]:
    """Every model that seals secrets: it names them ``<secret>_sealed`` and says what each is sealed for."""
    return [model for model in apps.get_models() if hasattr(model, "sealed_for")]


_others: dict[str, Callable[[Rotation], None]] = {}


def also(name: str, rotate: Callable[[Rotation], None]) -> None:
    """Declare secrets that a library keeps in its own way. Called once each, when Django is ready."""
    _others[name] = rotate


def rotate_secrets() -> Rotation:
    """Seal all secrets of all rows again, each row in a transaction of its own.

    Goes through ``save()``, so that workers load the newly sealed value before an old key is taken away.
    """
    done = Rotation()
    for model in sealing_models():
        for pk in model.objects.values_list("pk", flat=True):
            with transaction.atomic():
                row = versions.locked(model.objects.filter(pk=pk)).first()
                if row is not None:
                    _rotate(row, done)
    for rotate in _others.values():
        rotate(done)
    return done


def _rotate(row: Any, done: Rotation) -> None:
    changed = []
    fields = (field.name for field in row._meta.concrete_fields if field.name.endswith(SUFFIX))
    for name in filter(lambda name: getattr(row, name), fields):
        secret = name.removesuffix(SUFFIX)
        try:
            secrets.unseal(getattr(row, name), purpose=row.sealed_for(secret))
        except secrets.SecretUnreadable:
            done.unreadable.append(f"{row.name} ({secret})")
        else:
            setattr(row, name, secrets.reseal(getattr(row, name)))
            changed.append(name)
    if changed:
        row.save(update_fields=changed)
        done.resealed += len(changed)
