"""The forms, columns and filters of people in the platform's words; Django's model has its own."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin import BooleanFieldListFilter, RelatedFieldListFilter
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.forms import UserChangeForm, UserCreationForm

LABELS = {
    "username": _("user name"),
    "email": _("mail address"),
    "is_active": _("active"),
    "is_staff": _("opens the admin"),
    "is_superuser": _("has every right"),
    "groups": _("groups"),
    "user_permissions": _("further permissions"),
    "last_login": _("last sign-in"),
    "date_joined": _("added"),
}
_HELP = {
    "username": _("At most 150 letters, digits and any of @ . + - _"),
    "is_active": _("Off: the person cannot sign in. Switch it off in place of deleting the account."),
    "is_staff": _("The dashboard needs no such right."),
    "is_superuser": _("In every tenant, whatever the groups and permissions."),
    "groups": _("The person has the permissions of each chosen group."),
    "user_permissions": _("Besides those of the groups."),
}
FIELDSETS: Any = (
    (None, {"fields": ("username", "password")}),
    (_("Person"), {"fields": ("first_name", "last_name", "email")}),
    (_("Rights"), {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
    (_("Times"), {"fields": ("last_login", "date_joined")}),
)


class _HeldPassword(forms.Widget):
    """Whether there is a password, and nothing of its hash."""

    template_name = "quota_platform/held_password.html"
    read_only = True
    is_set, url = False, ""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        text = _("One is set.") if self.is_set else _("None is set.")
        return {**super().get_context(name, value, attrs), "text": text, "url": self.url}

    def id_for_label(self, id_: str | None) -> str:
        return ""


def _begin_large(form: Any) -> None:
    """Labels that a form names itself stay as they are; Django's of a model begin with a capital letter."""
    for field in form.fields.values():
        field.label = capfirst(field.label)


class PersonForm(UserChangeForm):  # type: ignore[misc]
    """A person's page."""

    class Meta(UserChangeForm.Meta):  # type: ignore[misc]
        labels = LABELS
        help_texts = _HELP

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _begin_large(self)
        password = self.fields["password"]
        password.widget = _HeldPassword()
        password.widget.is_set = self.instance.has_usable_password()
        password.widget.url = reverse("admin:auth_user_password_change", args=[self.instance.pk])
        password.help_text = ""


class NewPersonForm(UserCreationForm):  # type: ignore[misc]
    """A person to be added."""

    class Meta(UserCreationForm.Meta):  # type: ignore[misc]
        labels = LABELS
        help_texts = _HELP

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _begin_large(self)
        usable: Any = self.fields["usable_password"]
        usable.label = _("First password")
        usable.choices = usable.widget.choices = (("true", _("give one now")), ("false", _("give none")))
        usable.help_text = _(
            "With none the person gets a link by mail from their page, or signs in through the identity provider."
        )
        self.fields["password2"].label = _("Password again")
        self.fields["password2"].help_text = ""


class YesNoFilter(BooleanFieldListFilter):
    """By one of a person's switches."""

    def __init__(self, field: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(field, *args, **kwargs)
        self.title = LABELS[field.name]


class GroupsFilter(RelatedFieldListFilter):
    """By group."""

    def __init__(self, field: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(field, *args, **kwargs)
        self.title = LABELS[field.name]
