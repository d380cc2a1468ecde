"""Sending rows and files piece by piece, on both of Django's handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.utils.http import content_disposition_header

from limiter.reports import files
from limiter.reports.models import Export

_PIECE = 262_144


def stream(request: HttpRequest, pieces: Iterable[Any], *, name: str, content_type: str) -> StreamingHttpResponse:
    """A download. Under ASGI Django would collect a plain iterator in memory before it sends the first byte."""
    body: Any = in_turn(pieces) if isinstance(request, ASGIRequest) else pieces
    response = StreamingHttpResponse(body, content_type=content_type)
    response["Content-Disposition"] = str(content_disposition_header(True, name))
    response["Cache-Control"] = "no-store"
    return response


def download(request: HttpRequest, export: Export) -> StreamingHttpResponse:
    """The file of an export that is done."""
    return stream(request, _read(export.stored_as), name=export.file_name, content_type="application/octet-stream")


def manifest(export: Export) -> JsonResponse:
    """The signed manifest of that file, under the name by which `verify_export` finds it beside the file."""
    response = JsonResponse(export.manifest, json_dumps_params={"indent": 1, "sort_keys": True})
    response["Content-Disposition"] = str(content_disposition_header(True, f"{export.file_name}.manifest.json"))
    response["Cache-Control"] = "no-store"
    return response


async def in_turn(pieces: Iterable[Any]) -> AsyncIterator[Any]:
    """The pieces, each fetched off the event loop."""
    waiting = iter(pieces)
    while (piece := await sync_to_async(lambda: next(waiting, None))()) is not None:
        yield piece


def _read(name: str) -> Iterator[bytes]:
    with files.storage().open(name) as file:
        yield from iter(lambda: file.read(_PIECE), b"")
