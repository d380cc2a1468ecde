"""The admin's sidebar, from the features' declarations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse_lazy
from django.utils.text import capfirst
from django.utils.translation import gettext, gettext_noop

from quota_platform.base import features


def _may_view(model: str) -> Callable[[HttpRequest], bool]:
    app, name = model.split(".")

    def allowed(request: HttpRequest) -> bool:
        return request.user.has_perm(f"{app}.view_{name}") or request.user.has_perm(f"{app}.change_{name}")

    return allowed


def _entry(title: str, icon: str, model: str) -> dict[str, Any]:
    return {
        "title": capfirst(gettext(title)),
        "icon": icon,
        "link": reverse_lazy(f"admin:{model.replace('.', '_')}_changelist"),
        "permission": _may_view(model),
    }


def _section(title: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"title": gettext(title), "separator": True, "items": entries}


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar: what the features declare, section by section."""
    sections: dict[str, list[dict[str, Any]]] = {}
    for page in (page for feature in features.installed() for page in feature.pages):
        sections.setdefault(page.section, []).append(_entry(page.title, page.icon, page.model))
    first = [
        {"title": gettext("Overview"), "icon": "home", "link": reverse_lazy("admin:index")},
        {"title": gettext("Dashboard"), "icon": "monitoring", "link": "/dashboard/"},
    ]
    people = [
        _entry(gettext_noop("People"), "person", "auth.user"),
        _entry(gettext_noop("Groups"), "group", "auth.group"),
    ]
    return [
        {"items": first},
        *(_section(*each) for each in sections.items()),
        _section(gettext_noop("Accounts"), people),
    ]
