"""How the admin looks and what its sidebar offers: the UNFOLD setting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy

# The accent of the dashboard: 600 on light surfaces, 500 on dark ones; text in either keeps 4.5 : 1.
_ACCENT = {
    "50": "#eef4fd",
    "100": "#dce8fb",
    "200": "#bfd5f8",
    "300": "#a3c6ff",
    "400": "#94bdff",
    "500": "#84b4ff",
    "600": "#1d5fd0",
    "700": "#184faf",
    "800": "#143f8b",
    "900": "#11346f",
    "950": "#0b2149",
}
_NEUTRAL = {
    "50": "#f6f7f9",
    "100": "#eceff3",
    "200": "#dde2e8",
    "300": "#c3cad3",
    "400": "#8793a1",
    "500": "#66727f",
    "600": "#525d6b",
    "700": "#3a434e",
    "800": "#2a323c",
    "900": "#171c23",
    "950": "#0f1318",
}
_TEXT = {
    "subtle-light": "#525d6b",
    "subtle-dark": "#a3afbd",
    "default-light": "#2f3843",
    "default-dark": "#cdd5de",
    "important-light": "#14181f",
    "important-dark": "#e8ecf1",
}


def _may_view(model: str) -> Callable[[HttpRequest], bool]:
    app, name = model.split(".")

    def allowed(request: HttpRequest) -> bool:
        return request.user.has_perm(f"{app}.view_{name}") or request.user.has_perm(f"{app}.change_{name}")

    return allowed


def _page(title: str, icon: str, model: str) -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{model.replace('.', '_')}_changelist"),
        "permission": _may_view(model),
    }


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Quota",
    "SITE_HEADER": "Quota",
    "SITE_SUBHEADER": "Policies and tenants",
    "SITE_SYMBOL": "speed",
    "SITE_URL": "/dashboard/",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("dashboard/icon.svg")},
    ],
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "quota_platform.glance.add_glance",
    "BORDER_RADIUS": "8px",
    "COLORS": {"primary": _ACCENT, "base": _NEUTRAL, "font": _TEXT},
    "STYLES": [lambda request: static("quota_platform/admin.css")],
    "SCRIPTS": [lambda request: static("quota_platform/named_choices.js")],
    "SIDEBAR": {
        "navigation": [
            {
                "items": [
                    {"title": "Overview", "icon": "home", "link": reverse_lazy("admin:index")},
                    {"title": "Dashboard", "icon": "monitoring", "link": "/dashboard/"},
                ]
            },
            {
                "title": "Who may call",
                "separator": True,
                "items": [
                    _page("Tenants", "apartment", "tenants.tenant"),
                    _page("Actions", "bolt", "tenants.action"),
                    _page("API keys", "key", "tenants.apikey"),
                    _page("Connections", "hub", "tenants.connection"),
                ],
            },
            {
                "title": "How much",
                "separator": True,
                "items": [
                    _page("Policies", "rule", "limiter.quotapolicy"),
                    _page("Assignments", "assignment_turned_in", "limiter.assignment"),
                    _page("Overrides", "timer", "limiter.override"),
                    _page("Alert hooks", "webhook", "limiter.alerthook"),
                ],
            },
            {
                "title": "The record",
                "separator": True,
                "items": [
                    _page("Throttle events", "block", "limiter.throttleevent"),
                    _page("Alerts", "notifications", "limiter.alert"),
                    _page("Audit entries", "history", "limiter.auditentry"),
                    _page("Multipliers", "speed", "limiter.multiplierchange"),
                    _page("Exports", "download", "limiter.export"),
                    _page("Saved reports", "event_repeat", "limiter.reportschedule"),
                ],
            },
            {
                "title": "People",
                "separator": True,
                "items": [_page("Users", "person", "auth.user"), _page("Groups", "group", "auth.group")],
            },
        ],
    },
}
