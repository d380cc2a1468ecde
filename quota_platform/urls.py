"""The URLs that stock Django serves; the gateway's own are in :mod:`quota_platform.lean_urls`."""

from __future__ import annotations

from django.contrib import admin
from django.templatetags.static import static
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.utils.functional import lazy
from django.views.generic import RedirectView

from quota_platform.accounts.own_account import choose_language
from quota_platform.openapi.views import DocsView, schema

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="dashboard:overview")),
    path("favicon.ico", RedirectView.as_view(url=lazy(static, str)("dashboard/icon.svg"))),
    path("accounts/", include("quota_platform.accounts.urls")),
    path("admin/", admin.site.urls),
    path("dashboard/", include("dashboard.urls")),
    path("language/", choose_language, name="set_language"),
    re_path(r"^api/?$", RedirectView.as_view(pattern_name="api-docs")),
    path("api/schema/", schema, name="schema"),
    path("api/docs/", DocsView.as_view(), name="api-docs"),
    path("api/", include("quota_platform.management_urls")),
]
handler403 = "quota_platform.problems.forbidden"
handler400 = "quota_platform.problems.bad_request"
handler404 = "quota_platform.problems.not_found"
handler500 = "quota_platform.problems.server_error"
