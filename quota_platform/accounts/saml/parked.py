"""A verified response between two requests of a browser.

The provider has the browser post it from another site, and browsers send no session cookie with that (SameSite=Lax). So
it is parked under a cookie of its own, and the browser is sent to a page of ours, where its session is at hand.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

COOKIE = "saml_response"
_FIELD = "saml_response"
_KEPT_S = 120


def park(response: HttpResponse, text: str, *, path: str) -> None:
    """Keep the text for the page at ``path``, and let this browser have it there."""
    store = _sessions()()
    store[_FIELD] = text
    store.set_expiry(_KEPT_S)
    store.create()
    response.set_cookie(
        *(COOKIE, store.session_key),
        max_age=_KEPT_S,
        path=path,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def take(request: HttpRequest) -> str:
    """The text, once; empty if there is none."""
    key = request.COOKIES.get(COOKIE)
    store = _sessions()(key)
    text = str(store.get(_FIELD, "")) if key else ""
    if text:
        store.delete()
    return text


def _sessions() -> Any:
    return import_module(settings.SESSION_ENGINE).SessionStore
