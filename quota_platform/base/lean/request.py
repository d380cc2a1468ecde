"""A request as the lean views read it: headers by name once, the rest when a view asks for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, MutableMapping
from functools import cached_property
from io import BytesIO
from typing import Any, Protocol

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest

from quota_platform.base import addresses
from quota_platform.base.ids import new_id

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)


def identified(given: str) -> str:
    """The caller's X-Request-Id when it is one that can be logged and sent on; else a new one."""
    return given if given and _REQUEST_ID.fullmatch(given) else new_id()


class Departure(Protocol):
    """Tells when the caller of a request hangs up, and whether it has."""

    left: bool
    on_leave: Callable[[], None] | None


class LeanRequest(ASGIRequest):
    """Django's request without its cost: META, cookies and query are made when a view asks for them.

    ``content``: the body, whole. The server has bounded its length and the time it took. ``departure``: tells when the
    caller hangs up; None when the server does not know.
    """

    def __init__(self, scope: MutableMapping[str, Any], content: bytes, *, departure: Departure | None = None) -> None:
        self.scope = scope
        self.departure = departure
        self.content = content
        self.method = scope["method"]
        self.path = self.path_info = scope["path"]
        self.fields = _by_name(scope["headers"])
        """The headers by lower-case name; one that came several times is joined by commas."""
        self.request_id = identified(self.fields.get("x-request-id", ""))

    @property
    def caller_address(self) -> str:
        """Where the call comes from, as far as trusted proxies can tell; "" when nobody can."""
        return addresses.origin(self.scope, addresses.networks(*settings.ENV.TRUSTED_PROXIES)).address

    @cached_property
    def META(self) -> dict[str, Any]:  # type: ignore[override]
        """As Django makes it, for sessions and the query."""
        meta: dict[str, Any] = ASGIRequest(self.scope, BytesIO()).META
        return meta


def _by_name(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw, value in headers:
        name, text = str(raw, "latin1"), str(value, "latin1")
        found[name] = f"{found[name]}, {text}" if name in found else text
    return found
