"""``/api/schema/`` and ``/api/docs/``: the document, made once per process, and the page that shows it."""

from __future__ import annotations

import hashlib
import json
import threading

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny

_lock = threading.Lock()
_made: list[bytes] = []


def document() -> bytes:
    """The OpenAPI document as JSON.

    Making it costs some hundred milliseconds and the generator keeps state of its own while it runs, so it runs once
    and never twice at a time.
    """
    with _lock:
        if not _made:
            schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
            _made.append(json.dumps(schema, ensure_ascii=False, separators=(",", ":")).encode())
        return _made[0]


@require_safe
def schema(request: HttpRequest) -> HttpResponse:
    """The document; public, because it contains nothing about tenants."""
    body = document()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    if request.headers.get("If-None-Match") == etag:
        return HttpResponse(status=304, headers={"ETag": etag})
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    return HttpResponse(body, content_type="application/vnd.oai.openapi+json", headers=headers)


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI from our own static files; its script comes from a URL, so a strict CSP can allow it."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
