"""Panels and pages that the apps above put on this app's admin pages, without this app knowing them.

``tenants`` may not import ``limiter``; the limiter's own data (the limits in force, whether a connection responds)
it registers here, as ``limiter.admin`` is imported after ``tenants.admin``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Model
from django.http import HttpRequest, HttpResponse

Context = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Panel:
    """A template shown below a form. ``fill`` gives its context, or None to leave the panel out."""

    template: str
    fill: Callable[[HttpRequest, Any], Context | None]


@dataclass(frozen=True, slots=True)
class AdminPage:
    """A view at ``<object>/<path>/``, named ``admin:<app>_<model>_<name>``.

    ``response`` is called with the request and the object, after the permission to ``view`` or ``change`` was
    checked.
    One that ``edits`` the object is called, on POST, with the row locked, and only if it is the row that was seen.
    """

    path: str
    name: str
    permission: str
    response: Callable[[HttpRequest, Any], HttpResponse]
    edits: bool = False


_panels: dict[type[Model], list[Panel]] = {}
_pages: dict[type[Model], list[AdminPage]] = {}


def add_panel(model: type[Model], panel: Panel) -> None:
    """Show this panel on the model's change form from now on; later ones stand below earlier ones."""
    _panels.setdefault(model, []).append(panel)


def add_page(model: type[Model], page: AdminPage) -> None:
    """Serve this page for the model's objects. Call it while the admin modules are imported: URLs are made once."""
    _pages.setdefault(model, []).append(page)


def panels_of(model: type[Model], request: HttpRequest, row: Model) -> list[Context]:
    """The panels to show for one object, each with its template under ``template``."""
    filled = ((panel, panel.fill(request, row)) for panel in _panels.get(model, []))
    return [
        {**context, "template": panel.template, "original": row} for panel, context in filled if context is not None
    ]


def pages_of(model: type[Model]) -> list[AdminPage]:
    """The pages that were added for the model."""
    return list(_pages.get(model, []))
