"""API keys: made and shown once, listed by prefix, revoked after a question."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from quota_platform.base import row_access, versions
from quota_platform.base.admin.autocomplete import is_row_id
from quota_platform.base.admin.display import display
from quota_platform.base.admin.scoped import RowFilter, require_own
from quota_platform.base.kept import kept_text
from tenants.admin.issued import IssuedAdmin
from tenants.models import ApiKey


class ApiKeyForm(forms.ModelForm):
    """A key belongs to one tenant, or is a platform key that acts for those it lists."""

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at and "expires_at" in self.changed_data and expires_at <= timezone.now():
            made = self.instance.pk is not None
            raise forms.ValidationError(
                _("This moment has passed; revoke the key instead.")
                if made
                else _("This moment has passed; choose a later one.")
            )
        return expires_at

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        tenant = cleaned.get("tenant") or self.instance.tenant
        if "acts_for" not in self.fields or self.errors.keys() & {"acts_for", "tenant"}:
            return cleaned
        if tenant and cleaned.get("acts_for"):
            self.add_error("acts_for", _("A tenant's key acts for that tenant only; leave this empty."))
        if not tenant and not cleaned.get("acts_for"):
            self.add_error("acts_for", _("Choose a tenant above, or the tenants that this platform key may act for."))
        return cleaned


class KeyStateFilter(admin.SimpleListFilter):
    """Which keys still open the door."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("active", str(_("active"))), ("expired", str(_("expired"))), ("revoked", str(_("revoked")))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        expired = Q(expires_at__isnull=False, expires_at__lte=timezone.now())
        match self.value():
            case "active":
                return queryset.filter(revoked_at=None).exclude(expired)
            case "expired":
                return queryset.filter(expired, revoked_at=None)
            case "revoked":
                return queryset.exclude(revoked_at=None)
        return queryset


class ScopeFilter(admin.SimpleListFilter):
    """Tenants' own keys or platform keys."""

    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("tenant", str(_("a tenant's key"))), ("platform", str(_("platform key")))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        if self.value() in ("tenant", "platform"):
            return queryset.filter(tenant__isnull=self.value() == "platform")
        return queryset


REVOKED = kept_text("Revoked.")


@admin.register(ApiKey)
class ApiKeyAdmin(IssuedAdmin):
    """Keys are made by :meth:`ApiKeyQuerySet.issue` only; their token is only in the response that creates them."""

    form = ApiKeyForm
    new_title = _("New API key")
    copy_title = _("Copy the new key now")
    issued_template = "tenants/key_issued.html"
    list_display = ("name", "shown_prefix", "owner", "state", "expires_at", "created_at", "created_by")
    list_select_related = ("tenant",)
    list_filter = (KeyStateFilter, ScopeFilter, ("tenant", RowFilter))
    search_fields = ("name", "prefix", "tenant__tenant_id")
    search_help_text = _("Name, prefix (the part between qk_ and the second underscore) or tenant ID")
    autocomplete_fields = ("tenant", "acts_for")
    actions = ("revoke_selected",)
    actions_detail = ("revoke",)
    actions_row = ("revoke",)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        if obj is None:
            chosen = ("name", "expires_at", "max_class")
            every = row_access.sees_every_tenant(request.user)
            return ("tenant", "acts_for", *chosen) if every else ("tenant", *chosen)
        made = ("created_at", "created_by", "revoked_at")
        whose = ("acts_for",) if obj.is_platform else ("tenant",)
        return (*whose, "name", "shown_prefix", "state", "expires_at", "max_class", *made)

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        if obj is None:
            return ()
        ended = ("name", "acts_for", "expires_at", "max_class") if obj.revoked_at else ()
        return ("tenant", "shown_prefix", "state", "created_at", "created_by", "revoked_at", *ended)

    @display(description=_("prefix"), ordering="prefix")
    def shown_prefix(self, obj: ApiKey) -> str:
        return f"qk_{obj.prefix}_…"

    @display(description=_("belongs to"), ordering="tenant__tenant_id")
    def owner(self, obj: ApiKey) -> str:
        return str(obj.tenant) if obj.tenant else str(_("the platform"))

    # Making one.

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "tenant" and not row_access.sees_every_tenant(request.user):
            kwargs["required"] = True  # without one it would be a platform key, which belongs to no tenant of theirs
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: forms.ModelForm, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        made, token = ApiKey.objects.issue(
            name=obj.name,
            tenant=obj.tenant,
            expires_at=obj.expires_at,
            max_class=obj.max_class,
            created_by=request.user.get_username(),
        )
        require_own(request, made)
        self.issued(request, obj, made, token)

    def page_after(self, obj: ApiKey) -> str:
        if obj.tenant_id is not None:
            return reverse("admin:tenants_tenant_change", args=[obj.tenant_id])
        return reverse("admin:tenants_apikey_changelist")

    # Revoking some.

    def has_revoke_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The right to revoke is enough; anyone who may change a key may end it too."""
        return request.user.has_perm("tenants.revoke_apikey") or self.has_change_permission(request)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.revoke_view)
        return [path("revoke/", view, name="tenants_apikey_revoke"), *super().get_urls()]

    @action(description=_("Revoke…"), permissions=["revoke"], icon="block", url_path="ask-revoke")
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(f"{reverse('admin:tenants_apikey_revoke')}?key={object_id}")

    @admin.action(description=_("Revoke the selected keys…"), permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse:
        chosen = "&".join(f"key={key.pk}" for key in queryset)
        return HttpResponseRedirect(f"{reverse('admin:tenants_apikey_revoke')}?{chosen}")

    def revoke_view(self, request: HttpRequest) -> HttpResponse:
        """GET asks, naming the keys; POST revokes them."""
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        with self.whole(request):
            return self._respond_to_revoke(request)

    def _respond_to_revoke(self, request: HttpRequest) -> HttpResponse:
        chosen = [pk for pk in (request.POST or request.GET).getlist("key") if is_row_id(pk)]
        rows = self.get_queryset(request).select_related("tenant").filter(pk__in=chosen, revoked_at=None).order_by("pk")
        keys = list(versions.locked(rows) if request.method == "POST" else rows)
        next_url = self.page_after(keys[0]) if len(keys) == 1 else reverse("admin:tenants_apikey_changelist")
        if not keys:
            self.message_user(request, _("No key that is still in use was chosen."), messages.WARNING)
            return HttpResponseRedirect(next_url)
        if request.method != "POST" or not self.is_seen(request, keys):
            context = {**self.admin_site.each_context(request), "title": _("Revoke"), "opts": self.opts, "keys": keys}
            asked = {**context, "next_url": next_url, "row_mark": self.row_mark(keys)}
            return TemplateResponse(request, "tenants/key_revoke.html", asked)
        for key in keys:
            key.revoke()
            self.log_change(request, key, REVOKED)
        self.message_user(request, _("Revoked: {keys}.").format(keys=", ".join(map(str, keys))), messages.SUCCESS)
        return HttpResponseRedirect(next_url)
