"""Managing people: nobody gives a right that they do not have, or takes over an account that has more.

Without this rule a person who may edit users makes themself a superuser, or sets the password of one.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db.models import Q, QuerySet

from quota_platform.base.row_access import sees_every_tenant
from tenants.models import Membership


def may_manage(manager: Any, person: Any) -> bool:
    """Whether everything that ``person`` may do, and every tenant they see, is the manager's too.

    Rights of an account that is switched off count: it can be switched on again. One that is not stored has none.
    """
    if manager.is_superuser or person.pk is None:
        return True
    if person.is_superuser or _permissions(person).exclude(pk__in=_permissions(manager)).exists():
        return False
    tenants = Membership.objects.filter(user=person)
    own = Membership.objects.filter(user=manager).values("tenant")
    return sees_every_tenant(manager) or not tenants.exclude(tenant__in=own).exists()


def may_manage_group(manager: Any, group: Group) -> bool:
    """Whether the manager has every right that the group gives; one that is not stored gives none."""
    return group.pk is None or grantable_groups(manager).filter(pk=group.pk).exists()


def grantable(manager: Any) -> QuerySet[Permission]:
    """The permissions that the manager may give to others."""
    return Permission.objects.all() if manager.is_superuser else _permissions(manager)


def grantable_groups(manager: Any) -> QuerySet[Group]:
    """The groups whose members may do nothing that the manager may not."""
    if manager.is_superuser:
        return Group.objects.all()
    return Group.objects.exclude(permissions__in=Permission.objects.exclude(pk__in=_permissions(manager)))


def _permissions(person: Any) -> QuerySet[Permission]:
    own = Q(user=person) | Q(group__user=person)
    return Permission.objects.filter(pk__in=Permission.objects.filter(own).values("pk"))
