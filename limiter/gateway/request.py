"""A caller's request as the gateway reads it: headers by name once, the body checked, the rest when somebody asks."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, MutableMapping
from functools import cached_property
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest

from limiter.gateway.problems import Problem
from quota_platform.base import addresses, json_text

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)


class GatewayRequest(ASGIRequest):
    """Django's request without its cost: META, cookies and query are made when a view asks for them.

    ``content``: the body, whole. The server has bounded its length and the time it took.
    """

    def __init__(self, scope: MutableMapping[str, Any], content: bytes) -> None:
        self.scope = scope
        self.content = content
        self.method = scope["method"]
        self.path = self.path_info = scope["path"]
        self.fields = _by_name(scope["headers"])
        """The headers by lower-case name; one that came several times is joined by commas."""
        given = self.fields.get("x-request-id")
        self.request_id = given if given and REQUEST_ID.fullmatch(given) else os.urandom(12).hex()
        """The caller's X-Request-Id when it is one that can be logged and sent on; else a new one."""

    @property
    def caller_address(self) -> str:
        """Where the call comes from, as far as trusted proxies can tell; "" when nobody can."""
        return addresses.origin(self.scope, addresses.networks(*settings.ENV.TRUSTED_PROXIES)).address

    @cached_property
    def META(self) -> dict[str, Any]:  # type: ignore[override]
        """As Django makes it, for sessions and the query."""
        meta: dict[str, Any] = ASGIRequest(self.scope, BytesIO()).META
        return meta


def check_json(body: bytes) -> None:
    """Raise Problem 400 unless ``body`` is empty or one JSON text (RFC 8259: UTF-8, no NaN) of whole characters."""
    if not body:
        return
    try:
        _DECODER.decode(str(body, "utf-8"))
        if not _ESCAPED_HALF.search(body):
            return
    except (ValueError, RecursionError):
        pass  # read once more, slowly, for what is wrong and where
    try:
        json_text.read(body, storable=False)
    except json_text.JsonRefused as error:
        raise Problem(400, "body-not-json", f"The body is not JSON that can be sent on. {error}") from None


def _refuse_constant(name: str) -> None:
    raise ValueError


def _by_name(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw, value in headers:
        name, text = str(raw, "latin1"), str(value, "latin1")
        found[name] = f"{found[name]}, {text}" if name in found else text
    return found


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
_ESCAPED_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""The only way that half of a surrogate pair gets into UTF-8; whole pairs are written so too."""
