"""A wall in front of every page: a request whose address or cookies hold a NUL character gets a 400.

PostgreSQL takes no NUL in a text, SQLite does: whatever looks up such a value would fail on one and not on the other.
Fields of forms and of JSON are refused by name where they are read.
"""

from __future__ import annotations

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from quota_platform import problems


class RefuseNul(MiddlewareMixin):
    """Before sessions and views ask the database."""

    def process_request(self, request: HttpRequest) -> HttpResponseBase | None:
        place = _place(request)
        if place is None:
            return None
        if request.path.startswith("/api/"):
            return problems.refused_field(request, place, "Leave NUL characters out.")
        return problems.bad_request(request, BadRequest())


def _place(request: HttpRequest) -> str | None:
    """The parameter or cookie with a NUL in it."""
    if "\0" in request.path_info:
        return "path"
    if "%00" in request.META.get("QUERY_STRING", ""):
        for name, values in request.GET.lists():
            if "\0" in name or any("\0" in str(value) for value in values):
                return name.replace("\0", "\\u0000")
    if "HTTP_COOKIE" in request.META:
        for name, value in request.COOKIES.items():
            if "\0" in name or "\0" in value:
                return "Cookie"
    return None
