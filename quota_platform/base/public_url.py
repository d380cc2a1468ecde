"""The addresses of pages as people and providers outside reach them, whichever name a request came under."""

from __future__ import annotations

from django.conf import settings


def public_url(path: str) -> str:
    """``path`` at PUBLIC_URL; empty where that is not set."""
    origin = settings.ENV.PUBLIC_URL.rstrip("/")
    return f"{origin}{path}" if origin else ""
