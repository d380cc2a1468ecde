"""The content security policy of every page: everything from this server, nothing inline.

The admin's theme needs more: Alpine, which its menus are made with, evaluates the expressions in its templates
('unsafe-eval'), and its colours are a style in the page. The API's page has a style of its own, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

EVERYWHERE = {
    "default-src": "'self'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "object-src": "'none'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
}
BY_PATH = {
    "/admin/": {"script-src": "'self' 'unsafe-eval'", "style-src": "'self' 'unsafe-inline'"},
    "/api/docs/": {"style-src": "'self' 'unsafe-inline'"},
}
HEADER = "Content-Security-Policy"


def text(policy: dict[str, str]) -> str:
    """The header's value."""
    return "; ".join(f"{name} {sources}" for name, sources in policy.items())


def policy_for(request: HttpRequest) -> str:
    """The policy of this page. The websocket's address is named: older browsers do not take it for 'self'."""
    more = next((more for path, more in BY_PATH.items() if request.path_info.startswith(path)), {})
    try:
        websocket = f"{'wss' if request.is_secure() else 'ws'}://{request.get_host()}"
    except DisallowedHost:  # the response reports it
        return text({**EVERYWHERE, **more})
    return text({**EVERYWHERE, **more, "connect-src": f"'self' {websocket}"})


@sync_and_async_middleware
def content_security_policy(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Every response of Django's carries it, whichever view or library made the page."""
    if iscoroutinefunction(get_response):

        async def respond_async(request: HttpRequest) -> HttpResponseBase:
            return _guarded(request, await get_response(request))

        return respond_async

    def respond(request: HttpRequest) -> HttpResponseBase:
        return _guarded(request, get_response(request))

    return respond


def _guarded(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if HEADER not in response.headers:
        response.headers[HEADER] = policy_for(request)
    return response
