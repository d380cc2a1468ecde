"""The admin's pages for people: users and groups, in the same look as everything else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from allauth.account import admin as _registers_addresses  # noqa: F401
from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.mfa import admin as _registers_factors  # noqa: F401
from allauth.mfa.models import Authenticator
from allauth.socialaccount import admin as _registers_providers  # noqa: F401
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from django.views.generic import RedirectView
from rest_framework.authtoken import admin as _registers_tokens  # noqa: F401
from rest_framework.authtoken.models import TokenProxy
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm

from quota_platform import people, rights
from quota_platform.accounts import person_pages
from quota_platform.accounts.edits import RecordedEdits
from quota_platform.accounts.sign_out import sign_out
from quota_platform.base.admin.display import display
from quota_platform.base.admin.guard.admin import GuardedAdmin
from quota_platform.base.admin.inline_names import InlineNames
from quota_platform.person_forms import FIELDSETS, LABELS, GroupsFilter, NewPersonForm, PersonForm, YesNoFilter
from tenants.admin.membership import MembershipInline

# The framework's page of tokens shows them in full; the platform keeps hashes of its own (tenants.ApiToken). People
# keep their second factors themselves, and the identity provider is a setting (docs/accounts.md).
admin.site.unregister([User, Group, TokenProxy, EmailAddress, Authenticator, SocialAccount, SocialApp, SocialToken])
admin.site.index_title = _("Overview")
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.password_change = RedirectView.as_view(pattern_name="account_change_password")  # type: ignore[method-assign,assignment]
admin.site.logout = sign_out  # type: ignore[method-assign,assignment]


@admin.register(User)
class PersonAdmin(RecordedEdits, InlineNames, GuardedAdmin, UserAdmin, ModelAdmin):
    """Django's page in unfold's look, bounded to what its reader may give (:mod:`quota_platform.people`)."""

    recorded_as = "account"
    bookkeeping = ("last_login",)
    readonly_fields = ("last_login",)
    form = PersonForm
    add_form = NewPersonForm
    add_form_template = "quota_platform/new_person_form.html"
    change_password_form = AdminPasswordChangeForm
    change_form_template = "quota_platform/person_form.html"
    change_user_password_template = "quota_platform/change_password.html"
    fieldsets = FIELDSETS
    list_display = ("name", "mail", "active", "opens_admin", "every_right", "last_sign_in")
    list_filter = (
        ("is_active", YesNoFilter),
        ("is_staff", YesNoFilter),
        ("is_superuser", YesNoFilter),
        ("groups", GroupsFilter),
    )
    list_per_page = 50
    inlines = (MembershipInline,)
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("username", "email", "usable_password", "password1", "password2")}),
    )

    @display(description=LABELS["username"], ordering="username")
    def name(self, obj: User) -> str:
        return obj.get_username()

    @display(description=LABELS["email"], ordering="email")
    def mail(self, obj: User) -> str:
        return obj.email

    @display(description=LABELS["is_active"], ordering="is_active", boolean=True)
    def active(self, obj: User) -> bool:
        return obj.is_active

    @display(description=LABELS["is_staff"], ordering="is_staff", boolean=True)
    def opens_admin(self, obj: User) -> bool:
        return obj.is_staff

    @display(description=LABELS["is_superuser"], ordering="is_superuser", boolean=True)
    def every_right(self, obj: User) -> bool:
        return obj.is_superuser

    @display(description=LABELS["last_login"], ordering="last_login")
    def last_sign_in(self, obj: User) -> datetime | None:
        return obj.last_login

    def get_urls(self) -> list[URLPattern]:
        pages = (("invite", person_pages.invite), ("no_factors", person_pages.remove_second_factors))
        added = [
            path(
                f"<int:object_id>/{name}/", self.admin_site.admin_view(partial(self._do, act)), name=f"auth_user_{name}"
            )
            for name, act in pages
        ]
        return [*added, *super().get_urls()]

    def _do(self, act: Callable[[HttpRequest, User], None], request: HttpRequest, object_id: int) -> HttpResponse:
        """For the person, by somebody who may edit them. Only on POST."""
        person = self.get_object(request, str(object_id))
        if person is None:
            raise Http404
        if not self.has_change_permission(request, person):
            raise PermissionDenied
        if person == request.user:
            return self._own_account()
        if request.method == "POST":
            act(request, person)
        return HttpResponseRedirect("../change/")

    @staticmethod
    def _own_account() -> HttpResponse:
        """It asks for the old ones: a session that was left open changes neither password nor second factors."""
        return HttpResponseRedirect(reverse("account_own"))

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        person = kwargs.get("obj")
        context["second_factors"] = person is not None and Authenticator.objects.filter(user=person).exists()
        response: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return response

    def get_inlines(self, request: HttpRequest, obj: User | None) -> Any:
        """A new person is saved first, with a password."""
        return super().get_inlines(request, obj) if obj is not None else ()

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or people.may_manage(request.user, obj))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or people.may_manage(request.user, obj))

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Only a superuser makes others one."""
        fields = super().get_readonly_fields(request, obj)
        return fields if request.user.is_superuser else (*fields, "is_superuser")

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        if request is not None and db_field.name == "groups":
            kwargs |= {"queryset": people.grantable_groups(request.user), "form_class": rights.GroupsField}
        if request is not None and db_field.name == "user_permissions":
            kwargs |= {"queryset": _offered(request, "user"), "form_class": rights.PermissionsField}
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """The person is saved whole: as they were seen, and nobody else saves them meanwhile."""
        if id == str(request.user.pk):
            return self._own_account()
        with self.whole(request):
            person = self.get_object(request, id)
            may = person is not None and self.has_change_permission(request, person)
            if may and request.method == "POST" and not self.is_seen(request, [person]):
                return HttpResponseRedirect(request.get_full_path())
            response: HttpResponse = super().user_change_password(request, id, form_url)
            if may and request.method == "POST" and response.status_code == 302:
                self.enter(request, "password_set", person)
        if may and isinstance(response, TemplateResponse) and response.context_data is not None:
            response.context_data["row_mark"] = self.row_mark([person])
        return response


@admin.register(Group)
class TeamAdmin(RecordedEdits, GuardedAdmin, GroupAdmin, ModelAdmin):
    """Django's page in unfold's look."""

    recorded_as = "group"
    list_per_page = 50
    list_display = ("called",)

    @display(description=_("name"), ordering="name")
    def called(self, obj: Group) -> str:
        return rights.group(obj)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        allowed = super().has_change_permission(request, obj)
        return allowed and (obj is None or people.may_manage_group(request.user, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        return allowed and (obj is None or people.may_manage_group(request.user, obj))

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        if request is not None and db_field.name == "permissions":
            kwargs |= {"queryset": _offered(request, "group"), "form_class": rights.PermissionsField}
        return super().formfield_for_manytomany(db_field, request, **kwargs)


def _offered(request: HttpRequest, holder: str) -> QuerySet[Permission]:
    """The permissions to choose from: those that open something, and those that the row has, which a save keeps."""
    row = request.resolver_match.kwargs.get("object_id", "") if request.resolver_match else ""
    useful = Q(pk__in=rights.opening())
    if str(row).isdigit():
        useful |= Q(pk__in=Permission.objects.filter(**{holder: row}).values("pk"))
    return people.grantable(request.user).filter(useful).select_related("content_type")
