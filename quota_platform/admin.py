"""The admin's pages for people: users and groups, in the same look as everything else."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from rest_framework.authtoken import admin as _registers_tokens  # noqa: F401
from rest_framework.authtoken.models import TokenProxy
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from tenants.admin.membership import MembershipInline

# The framework's page of tokens shows them in full, in its list and in the log of what was done.
# `manage.py drf_create_token <user>` prints one once and leaves no such trace.
admin.site.unregister([User, Group, TokenProxy])


@admin.register(User)
class PersonAdmin(UserAdmin, ModelAdmin):
    """Django's page in unfold's look."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_active", "is_staff", "is_superuser", "last_login")
    list_per_page = 50
    inlines = (MembershipInline,)

    def get_inlines(self, request: HttpRequest, obj: User | None) -> Any:
        """A new person is saved first, with a password."""
        return super().get_inlines(request, obj) if obj is not None else ()


@admin.register(Group)
class TeamAdmin(GroupAdmin, ModelAdmin):
    """Django's page in unfold's look."""

    list_per_page = 50
