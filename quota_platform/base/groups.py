"""The groups that come with the platform, and what each may do: given once, then left to the administrators."""

from __future__ import annotations

from typing import Any

from django.apps import apps as installed
from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.signals import post_migrate

from quota_platform.base import features
from quota_platform.base.models.granted import Granted


def rights() -> dict[str, tuple[str, ...]]:
    """What each group may do, never for which tenants: a member of a group sees the tenants of their memberships."""
    found: dict[str, tuple[str, ...]] = {}
    for feature in features.installed():
        for group, permissions in feature.rights.items():
            found[group] = (*found.get(group, ()), *permissions)
    return found


def connect(app: Any) -> None:
    """Called once, when all is ready, with the last app that has tables: by then all permissions are made."""
    post_migrate.connect(_migrated, sender=app, dispatch_uid="groups of the platform")


def _migrated(using: str, apps: Any = installed, **_: object) -> None:
    """Also after a migration to an earlier state, where there is nothing to remember it in."""
    if "granted" in apps.all_models["tenants"]:
        make(using=using)


def make(*, using: str = "default") -> None:
    """Grant each group the permissions that it was never granted before.

    A permission that an administrator took away was given once and is not given again; one that they added stays. A
    group that they deleted or renamed is theirs, too, and is not made again.
    """
    with transaction.atomic(using=using):
        for name, permissions in rights().items():
            given = set(Granted.objects.using(using).filter(group=name).values_list("permission", flat=True))
            if missing := [permission for permission in permissions if permission not in given]:
                _give(name, missing, new=not given, using=using)


def _give(name: str, permissions: list[str], *, new: bool, using: str) -> None:
    groups = Group.objects.using(using)
    group = groups.filter(name=name).first() or (groups.create(name=name) if new else None)
    if group is None:
        return
    found = {permission: row for permission in permissions for row in _permission(permission, using=using)}
    group.permissions.add(*found.values())
    Granted.objects.using(using).bulk_create(
        [Granted(group=name, permission=permission) for permission in found], ignore_conflicts=True
    )


def _permission(name: str, *, using: str) -> QuerySet[Permission]:
    """The permission, or none while the tables of its model are not made."""
    app, codename = name.split(".")
    return Permission.objects.using(using).filter(content_type__app_label=app, codename=codename)
