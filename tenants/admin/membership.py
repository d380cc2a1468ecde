"""Who belongs to a tenant: lines on the tenant's page, and on the person's."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.forms import PaginationInlineFormSet

from quota_platform.base import row_access
from quota_platform.base.admin.scoped import ScopedChoices
from tenants.models import Membership


class MembershipFormSet(PaginationInlineFormSet):
    """New lines say who added them."""

    author = ""

    def save_new(self, form: Any, commit: bool = True) -> Any:
        form.instance.added_by = self.author
        return super().save_new(form, commit=commit)


class MembershipInline(ScopedChoices, TabularInline):
    """The tenants a person belongs to. A line is added or taken away; who and where does not change."""

    model = Membership
    formset = MembershipFormSet
    fk_name = "user"
    fields = ("tenant", "reason", "added_by", "added_at")
    readonly_fields = ("added_by", "added_at")
    autocomplete_fields = ("tenant",)
    extra = 0
    hide_title = True
    verbose_name_plural = _("Tenants this person sees")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return row_access.seen(super().get_queryset(request).select_related("user", "tenant"), request.user)

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        return type("Lines", (super().get_formset(request, obj, **kwargs),), {"author": request.user.get_username()})

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MemberInline(MembershipInline):
    """The people who belong to a tenant."""

    fk_name = "tenant"
    fields = ("user", "reason", "added_by", "added_at")
    autocomplete_fields = ("user",)
    verbose_name_plural = _("People who see this tenant")
