"""An error as an RFC 9457 problem document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from quota_platform.base.lean.document import encode

CONTENT_TYPE = "application/problem+json"
_OWN = "urn:quota-platform:problem:"
"""Our own types; docs/errors.md explains each under the same word."""


class Problem(Exception):
    """A response that is an error. ``kind`` is one of our own types, or a full type URI with a ``title``.

    A room that has kinds of its own subclasses it, with their titles.
    """

    titles: ClassVar[Mapping[str, str]] = {
        "unauthorized": "Unauthorized",
        "forbidden": "Forbidden",
        "not-found": "Not found",
        "method-not-allowed": "Method not allowed",
        "request-malformed": "Request malformed",
        "version-unsupported": "HTTP version not supported",
        "coding-unsupported": "Transfer coding not supported",
        "method-unsupported": "Method not supported",
        "websocket-invalid": "Websocket handshake invalid",
        "head-too-long": "Head too long",
        "head-too-slow": "Head too slow",
        "response-stalled": "Response not taken",
        "too-many-connections": "Too many connections",
        "connections-exhausted": "Too many connections of all callers",
        "bodies-exhausted": "Too many bodies at once",
        "body-too-large": "Body too large",
        "body-too-slow": "Body too slow",
        "internal": "Internal error",
    }

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        title: str = "",
        extra: Mapping[str, Any] | None = None,
        fields: tuple[tuple[str, str], ...] = (),
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.type = kind if ":" in kind else _OWN + kind
        self.title = title or self.titles[kind]
        self.detail = detail
        self.extra = dict(extra or {})
        self.fields = list(fields)
        if retry_after_s is not None:
            self.fields.append(("Retry-After", str(retry_after_s)))

    def body(self, *, instance: str, request_id: str) -> bytes:
        """The document, as it goes out."""
        document = {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            "request_id": request_id,
            **self.extra,
        }
        return encode(document)


def takes(methods: Sequence[str]) -> str:
    """The remedy for another method: ``This address takes GET, HEAD and POST.``"""
    *others, last = methods
    listed = f"{', '.join(others)} and {last}" if others else last
    return f"This address takes {listed}."


def method_not_allowed(methods: Sequence[str]) -> Problem:
    return Problem(405, "method-not-allowed", takes(methods), fields=(("Allow", ", ".join(methods)),))
