"""How the admin looks and what its pages load: the UNFOLD setting."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

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


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Quota",
    "SITE_HEADER": "Quota",
    "SITE_SUBHEADER": _("Policies and tenants"),
    "SITE_ICON": lambda request: static("dashboard/icon.svg"),
    "SITE_URL": "/dashboard/",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("dashboard/icon.svg")},
    ],
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": True,
    "DASHBOARD_CALLBACK": "quota_platform.glance.add_glance",
    "ACCOUNT": {
        "navigation": [
            {"title": _("Your account"), "link": reverse_lazy("account_own")},
            {"title": _("Second factor"), "link": reverse_lazy("mfa_index")},
        ]
    },
    "BORDER_RADIUS": "8px",
    "COLORS": {"primary": _ACCENT, "base": _NEUTRAL, "font": _TEXT},
    "STYLES": [
        lambda request: static("quota_platform/admin.css"),
        lambda request: static("quota_platform/admin_print.css"),
    ],
    "SCRIPTS": [lambda request: static("quota_platform/named_parts.js")],
    "SIDEBAR": {"navigation": "quota_platform.navigation.navigation"},
}
