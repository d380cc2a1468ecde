"""The URLs that the lean handler serves: the gateway's, and the health of the worker itself."""

from __future__ import annotations

from django.urls import include, path

from limiter.upstream.errors import UpstreamError
from quota_platform import error_pages
from quota_platform.base.lean.request import LeanRequest
from quota_platform.base.lean.response import LeanResponse
from quota_platform.health import HealthView, ReadyView
from quota_platform.server.handler import LeanHandler, not_found

urlpatterns = [
    path("", include("limiter.gateway.urls")),
    path("healthz", HealthView.as_view()),
    path("readyz", ReadyView.as_view()),
]
PREFIXES = ("/invoke/", "/check/", "/decisions/", "/limits", "/metrics", "/healthz", "/readyz")
"""How those paths begin; the rest goes to stock Django."""


def handler() -> LeanHandler:
    """What serves these URLs. An upstream that breaks off in the middle of a response is an ordinary thing."""
    return LeanHandler(__name__, breaks_off=UpstreamError, missing=_missing)


def _missing(request: LeanRequest) -> LeanResponse:
    """A page for a browser, a problem for a program."""
    if "text/html" not in request.fields.get("accept", "") or request.path_info.startswith((*PREFIXES, "/api/")):
        return not_found(request)
    return error_pages.missing(request)
