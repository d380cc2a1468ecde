"""Errors of the stock side: problem documents of RFC 9457 under /api/, and pages for people elsewhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings

from quota_platform import error_pages
from quota_platform.base.api.errors import PayloadTooLarge
from quota_platform.base.lean.problem import CONTENT_TYPE
from quota_platform.base.lean.request import identified

_SILENT_S = 3.0
"""A process reads the database every second; one that has not for so long cannot."""
logger = logging.getLogger(__name__)


def response(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler. Other exceptions are re-raised and end in :func:`server_error`."""
    error = _known(exc)
    if error is None:
        return None
    request: Request = context["request"]
    extra: dict[str, Any] = dict(getattr(error, "extra", {}))
    if isinstance(error.detail, dict | list):
        extra["errors"] = dict(_flat(error.detail))
        detail = f"Not accepted: {', '.join(extra['errors'])}."
    else:
        detail = str(error.detail)
    body = document(request, status=error.status_code, detail=detail, **extra)
    response = Response(body, status=error.status_code, content_type=CONTENT_TYPE)
    response["X-Request-Id"] = body["request_id"]
    if challenge := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = challenge
    if wait_s := getattr(error, "retry_after_s", 5 if error.status_code == 503 else None):
        response["Retry-After"] = str(wait_s)
    return response


def document(request: HttpRequest | Request, *, status: int, detail: str, **extra: Any) -> dict[str, Any]:
    """The problem document; ``about:blank`` says that the status tells all there is to the type."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.path,
        "request_id": identified(request.headers.get("X-Request-Id", "")),
        **extra,
    }


class _DatabaseAway(exceptions.APIException):
    """The database is stopped, locked for too long, or refuses: one failed query does not say which."""

    status_code = 503
    default_detail = "The database did not complete this request; nothing was saved. Try again in a moment."


def _known(exc: Exception) -> exceptions.APIException | None:
    if isinstance(exc, exceptions.APIException):
        return exc
    if isinstance(exc, Http404):
        return exceptions.NotFound()
    if isinstance(exc, PermissionDenied):
        return exceptions.PermissionDenied()
    if isinstance(exc, RequestDataTooBig):
        return PayloadTooLarge()
    if isinstance(exc, SuspiciousOperation):
        return exceptions.ParseError("The request could not be read.")
    if isinstance(exc, DataError):
        return exceptions.ParseError("A value does not fit the database.")
    if isinstance(exc, OperationalError | InterfaceError):
        logger.error("the management API lost its database: %s", type(exc).__name__, exc_info=exc)
        return _DatabaseAway()
    return None


def _flat(detail: Any, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """``{"limits": {"1": {"quota": [m]}}}`` becomes ``limits[1].quota: [m]``."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            if name == api_settings.NON_FIELD_ERRORS_KEY:
                yield from _flat(inner, path or name)
            elif path and str(name).isdigit():
                yield from _flat(inner, f"{path}[{name}]")
            else:
                yield from _flat(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(detail, list) and any(isinstance(inner, Mapping) for inner in detail):
        for place, inner in enumerate(detail):
            yield from _flat(inner, f"{path}[{place}]")
    else:
        messages = detail if isinstance(detail, list) else [detail]
        if messages:
            yield path or api_settings.NON_FIELD_ERRORS_KEY, [str(message) for message in messages]


def refused_field(request: HttpRequest, place: str, message: str) -> HttpResponse:
    """400 for one field, header or parameter, where no serializer says it."""
    return _page(request, status=400, detail=f"Not accepted: {place}.", errors={place: [message]})


def _page(request: HttpRequest, *, status: int, detail: str, **extra: Any) -> HttpResponse:
    body = document(request, status=status, detail=detail, **extra)
    headers = {"X-Request-Id": body["request_id"]}
    return JsonResponse(body, status=status, content_type=CONTENT_TYPE, headers=headers)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _for_programs(request):
        return _page(request, status=400, detail="The request could not be read.")
    return error_pages.page(400, error_pages.UNREADABLE)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _for_programs(request):
        return _page(request, status=403, detail="You have no permission for this.")
    return error_pages.page(403, error_pages.FORBIDDEN)


def form_expired(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's view for a request without the token of a form; ``reason`` is for its log."""
    if _for_programs(request):
        return _page(request, status=403, detail="The request needs a CSRF token, or an API token instead of a cookie.")
    return error_pages.page(403, error_pages.EXPIRED)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _for_programs(request):
        return _page(request, status=404, detail="There is no such route; /api/docs/ lists them.")
    return error_pages.page(404, error_pages.NOT_FOUND)


def server_error(request: HttpRequest) -> HttpResponse:
    """For what no view expected. Django calls this while it handles the exception."""
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        return _unavailable(request)
    if _for_programs(request):
        detail = "An error on our side; it was logged under this request_id."
        response = _page(request, status=500, detail=detail)
    else:
        reference = identified("")
        response = error_pages.page(500, error_pages.FAILED, reference=reference)
        response["X-Request-Id"] = reference
    logger.error("request %s on %s failed; the traceback stands above", response["X-Request-Id"], request.path)
    return response


def _unavailable(request: HttpRequest) -> HttpResponse:
    if _for_programs(request):
        response = _page(request, status=503, detail=_DatabaseAway.default_detail)
    else:
        since = _silent_since(request)
        response = error_pages.page(503, error_pages.UNAVAILABLE if since else error_pages.NOT_COMPLETED, since=since)
    response["Retry-After"] = "5"
    return response


def _silent_since(request: HttpRequest) -> datetime | None:
    """When this process last read the database, which it does every second; None if that was just now."""
    runtime = getattr(request, "scope", {}).get("state", {}).get("runtime")
    age = runtime and runtime.gateway.snapshot.status()["looked_seconds_ago"]
    return datetime.now(UTC) - timedelta(seconds=age) if age and age > _SILENT_S else None


def _for_programs(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")
