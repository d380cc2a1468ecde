"""The edits that change a person's access: open pages are notified of them."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser, Group
from django.contrib.auth.signals import user_logged_out
from django.db.models.signals import m2m_changed, post_delete, post_save

from dashboard import news
from tenants.models import Membership


def connect() -> None:
    """Called once, when the app is ready."""
    person: Any = get_user_model()
    user_logged_out.connect(_signed_out, dispatch_uid="pages of a person who signed out")
    for signal in (post_save, post_delete):
        signal.connect(_person_changed, sender=person, dispatch_uid=f"pages of a changed person {id(signal)}")
        signal.connect(_membership_changed, sender=Membership, dispatch_uid=f"pages of a member {id(signal)}")
    for through in (person.groups.through, person.user_permissions.through, Group.permissions.through):
        m2m_changed.connect(_rights_changed, sender=through, dispatch_uid=f"pages by {through._meta.label}")


def _signed_out(user: AbstractUser | None, **_: object) -> None:
    if user is not None:
        news.rights_changed(user.pk)


def _person_changed(instance: AbstractUser, using: str, update_fields: Any = None, **_: object) -> None:
    if update_fields != frozenset({"last_login"}):
        news.rights_changed(instance.pk, using=using)


def _membership_changed(instance: Membership, using: str, **_: object) -> None:
    news.rights_changed(instance.user_id, using=using)


def _rights_changed(instance: AbstractUser | Group, action: str, using: str, **_: object) -> None:
    if action.startswith("post_"):
        one = isinstance(instance, AbstractUser)
        news.rights_changed(instance.pk if one else news.EVERYONE, using=using)
