"""People, groups and permissions in the reader's words; the database has Django's English names."""

from __future__ import annotations

from typing import Any

from django import forms
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.utils.text import capfirst
from django.utils.translation import gettext, gettext_lazy

from quota_platform.base import groups

_VERBS = {
    "add": gettext_lazy("may add"),
    "change": gettext_lazy("may change"),
    "delete": gettext_lazy("may delete"),
    "view": gettext_lazy("may view"),
}


def name_people() -> None:
    """Call Django's users people, as every other page does. Called once, when Django is ready."""
    apps.get_app_config("auth").verbose_name = gettext_lazy("Accounts")
    names: Any = User._meta
    names.verbose_name, names.verbose_name_plural = gettext_lazy("person"), gettext_lazy("people")


def permission(row: Permission) -> str:
    """Its feature, rows and verb, for example *Quotas: overrides: may add*; or its own sentence."""
    model = row.content_type.model_class()
    verb, _, of = row.codename.partition("_")
    if model is None or verb not in _VERBS or of != model._meta.model_name:
        return f"{capfirst(row.content_type.app_labeled_name.partition(' | ')[0])}: {gettext(row.name)}"
    feature = apps.get_app_config(model._meta.app_label).verbose_name
    return f"{feature}: {model._meta.verbose_name_plural}: {_VERBS[verb]}"


def opening() -> list[int]:
    """The permissions that open something: of rows with a page and lines on one, and those that groups are given.

    Django makes four for every table, of histories and of counters too.
    """
    pages = admin.site._registry.items()
    models = {
        each._meta.label_lower for model, page in pages for each in (model, *(line.model for line in page.inlines))
    }
    given = {permission for of_group in groups.rights().values() for permission in of_group}
    return [row.pk for row in Permission.objects.select_related("content_type") if _opens(row, models, given)]


def _opens(row: Permission, models: set[str], given: set[str]) -> bool:
    of = row.content_type
    verb, _, name = row.codename.partition("_")
    is_own = verb not in _VERBS or name != of.model
    return is_own or f"{of.app_label}.{of.model}" in models or f"{of.app_label}.{row.codename}" in given


def group(row: Group) -> str:
    """One of the platform's in the reader's language; one that people made as they called it."""
    return gettext(row.name) if row.name in known() else row.name


def known() -> set[str]:
    """The names of the platform's groups, which the catalogues have."""
    return {*groups.rights(), settings.ENV.WALLBOARD_GROUP, settings.ENV.SERVICE_GROUP}


class PermissionsField(forms.ModelMultipleChoiceField[Any]):
    """A choice of permissions."""

    def label_from_instance(self, obj: Any) -> str:
        return permission(obj)


class GroupsField(forms.ModelMultipleChoiceField[Any]):
    """A choice of groups."""

    def label_from_instance(self, obj: Any) -> str:
        return group(obj)
