"""What an edit touches beside its own row: keys of a renamed tenant, histories of a person who left."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q
from django.db.models.signals import m2m_changed, post_delete, pre_delete, pre_save
from django.dispatch import receiver
from simple_history.models import registered_models
from simple_history.signals import pre_create_historical_record
from simple_history.utils import get_history_model_for_model

from quota_platform.base import changes
from quota_platform.base.changes import Topic
from tenants.models import ApiKey, Tenant


def connect() -> None:
    """Called once, when the app is ready; importing this module has connected the receivers below."""
    post_delete.connect(_person_left, sender=get_user_model(), dispatch_uid="history by a person who left")


@receiver(pre_save, sender=Tenant, dispatch_uid="keys of a renamed tenant")
def _before_rename(instance: Tenant, using: str, **_: object) -> None:
    """Keys are held with the public names of their tenants: a new name must reach them before anyone takes the old."""
    stored = Tenant.objects.using(using).filter(pk=instance.pk) if instance.pk else Tenant.objects.none()
    if stored.exclude(tenant_id=instance.tenant_id).exists():
        _record_keys(ApiKey.objects.using(using).filter(Q(tenant=instance) | Q(acts_for=instance)), using=using)


@receiver(pre_delete, sender=Tenant, dispatch_uid="platform keys of a deleted tenant")
def _before_delete(instance: Tenant, using: str, **_: object) -> None:
    """Its own keys go with it and say so; a platform key stays and must forget it."""
    _record_keys(instance.platform_keys.using(using), using=using)


@receiver(m2m_changed, sender=ApiKey.acts_for.through, dispatch_uid="tenants of a platform key")
def _acts_for_changed(instance: ApiKey | Tenant, action: str, pk_set: set[int] | None, using: str, **_: object) -> None:
    """From the key's side the key is touched; from the tenant's side all keys added, removed or cleared."""
    if isinstance(instance, ApiKey):
        if action in ("post_add", "post_remove", "post_clear"):
            changes.record(Topic.KEY, instance.pk, using=using)
    elif action == "pre_clear":
        _record_keys(instance.platform_keys.using(using), using=using)
    elif action in ("post_add", "post_remove"):
        for key_id in pk_set or ():
            changes.record(Topic.KEY, key_id, using=using)


def _record_keys(keys: Iterable[ApiKey], *, using: str) -> None:
    for key in keys:
        changes.record(Topic.KEY, key.pk, using=using)


@receiver(pre_create_historical_record, dispatch_uid="history by a person who is leaving")
def _before_history(history_instance: Any, history_user: Any, using: str, **_: object) -> None:
    """Who deletes their own account writes history of what goes with it: the history cannot point at them."""
    deleting = history_instance.history_type == "-" and history_user is not None
    if deleting and not get_user_model()._base_manager.using(using).filter(pk=history_user.pk).exists():
        history_instance.history_user = None


def _person_left(instance: Any, using: str, **_: object) -> None:
    """As above, when the history was written just before the person went."""
    for model in registered_models.values():
        history: Any = get_history_model_for_model(model)
        history._base_manager.using(using).filter(history_user_id=instance.pk).update(history_user=None)
