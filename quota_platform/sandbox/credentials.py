"""Reads the credentials out of a token request, in every style that NICE, Genesys and RFC 6749 know."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from quota_platform.sandbox.accounts import Accounts, SandboxAccount, same
from quota_platform.sandbox.log import LogEntry


@dataclass(slots=True)
class Credentials:
    """What a token request says. ``style``: where the client's id and secret stood."""

    fields: dict[str, str] = field(repr=False)
    style: str
    client_id: str
    client_secret: str = field(repr=False)

    def get(self, name: str) -> str:
        return self.fields.get(name, "")


def read(entry: LogEntry) -> Credentials:
    """Never fails: what cannot be read is empty, and is refused as a wrong client would be."""
    fields = _json(entry.body) if _is_json(entry) else _form(entry.body)
    basic = _basic(entry.headers.get("Authorization", ""))
    in_body = "client_secret" in fields
    if basic is not None:
        return Credentials(fields, "both" if in_body else "basic", *basic)
    style = "body" if in_body or "client_id" in fields else "none"
    return Credentials(fields, style, fields.get("client_id", ""), fields.get("client_secret", ""))


def client_of(accounts: Accounts, given: Credentials) -> SandboxAccount | None:
    """The registered client these credentials prove, or None."""
    client = accounts.clients.get(given.client_id)
    if client is None:
        # RFC 6749 percent-encodes both halves of Basic; CXone's clients do not. Both are understood.
        client = accounts.clients.get(unquote_plus(given.client_id))
    if client is None or client.auth not in ("any", given.style):
        return None
    known = same(client.secret, given.client_secret) or (
        given.style == "basic" and same(client.secret, unquote_plus(given.client_secret))
    )
    return client if known else None


def _is_json(entry: LogEntry) -> bool:
    return "json" in entry.headers.get("Content-Type", "").lower()


def _form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _json(body: bytes) -> dict[str, str]:
    try:
        values: Any = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(values, dict):
        return {}
    return {name: value for name, value in values.items() if isinstance(value, str)}


def _basic(header: str) -> tuple[str, str] | None:
    kind, _, encoded = header.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return client_id, secret
