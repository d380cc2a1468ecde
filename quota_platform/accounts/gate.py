"""The middleware of accounts: ends sessions whose time is over, and holds back those that may not be used yet."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import logout
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin

from quota_platform import error_pages
from quota_platform.accounts import second_factor, sessions

_ADMIN = "/admin/"


class Gate(MiddlewareMixin):
    """For views that Django serves. Websockets and polls ask :mod:`quota_platform.base.sessions`, with these rules.

    A poll is not a person's doing: it keeps no session alive.
    """

    def process_view(self, request: HttpRequest, *_: Any) -> HttpResponse | None:
        if _is_poll(request):
            return None
        if request.user.is_authenticated and sessions.has_ended(request.user, request.session):
            logout(request)
        if not request.user.is_authenticated:
            return error_pages.page(403, error_pages.SIGNED_OUT) if _is_edit(request) else None
        sessions.note_use(request.user, request.session)
        if not sessions.may_use(request):
            raise PermissionDenied
        return second_factor.instead_of(request)


def _is_edit(request: HttpRequest) -> bool:
    """Whether a form of the admin comes with it, which the way by the sign-in page would lose without a word."""
    is_form = request.method == "POST" and request.path_info.startswith(_ADMIN)
    return is_form and request.path_info != reverse("admin:logout")


def _is_poll(request: HttpRequest) -> bool:
    return request.method in ("GET", "HEAD") and request.path_info.startswith(sessions.LIVE)
