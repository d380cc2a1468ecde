"""Static files as they are on the disk: WhiteNoise keeps the sizes and times that it found when the process started.

An upgrade may replace files under a running server. A file that has become longer, shorter or missing would break its
response, so each request looks whether it is still the one that is known.
"""

from __future__ import annotations

import os
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import MissingFileError, StaticFile

_VARIANTS = ("", ".gz", ".br")
Stamp = tuple[int, int] | None
"""Size and time of the last change (ns); None for a file that is missing."""


class CurrentStaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]
    """Serves a replaced file whole, and a deleted one as an address that leads nowhere, until it is back."""

    def get_static_file(self, path: str, url: str, stat_cache: Any = None) -> StaticFile:
        stamps = _stamps(path)
        found = super().get_static_file(path, url, stat_cache=stat_cache)
        found.path, found.stamps = path, stamps
        return found

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        url = request.path_info
        held = self.files.get(url)
        if isinstance(held, StaticFile) and held.stamps != _stamps(held.path):
            try:
                self.files[url] = self.get_static_file(held.path, url)
            except MissingFileError:
                return self.get_response(request)  # type: ignore[no-any-return]
        return super().__call__(request)  # type: ignore[no-any-return]


def _stamps(path: str) -> list[Stamp]:
    """Of the file and its compressed variants."""
    return [_stamp(path + variant) for variant in _VARIANTS]


def _stamp(path: str) -> Stamp:
    try:
        seen = os.stat(path)
    except OSError:
        return None
    return seen.st_size, seen.st_mtime_ns
