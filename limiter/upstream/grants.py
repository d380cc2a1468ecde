"""One token request: its form for each kind of grant, and how any answer to it is read.

GrantError
├── GrantRefused   the credentials or the set-up are wrong; asking again soon cannot help
└── GrantFailed    the token endpoint was not reached or did not make sense; asking again may help
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

import requests

from limiter.upstream.retry import retry_after_s
from quota_platform.base.hosts import HostRefused
from quota_platform.base.kept import kept_text
from quota_platform.base.secrets import SecretUnreadable
from tenants import completeness
from tenants.directory import ConnectionSpec

DEFAULT_LIFETIME_S = 1800.0
LONGEST_LIFETIME_S = 86_400.0
TIMEOUT_S = 10.0
MAX_RESPONSE_BYTES = 262_144
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}", re.ASCII)
_TRANSIENT_ERRORS = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
_CONFIGURATION_STATUSES = frozenset({400, 401, 403, 404, 405, 410, 415})

_NOT_STORED = {
    ("client_secret",): kept_text("No client secret is stored. Enter it and save."),
    ("access_key_secret",): kept_text("No access key secret is stored. Enter it and save."),
    ("client_secret", "access_key_secret"): kept_text(
        "No client secret and access key secret is stored. Enter it and save."
    ),
}
_UNREADABLE = kept_text("A stored secret cannot be read: {why}. Enter it again.")
TOKEN_ENDPOINT_REFUSED = kept_text("The token endpoint may not be used: {why}")
_NOT_REACHED = kept_text("The token endpoint was not reached ({fault}).")
_TOO_LONG = kept_text("The response was too long.")
_TOO_SLOW = kept_text("The response came too slowly.")
_NOT_JSON = kept_text("The token endpoint answered {status} with something that is not a JSON object.")
_NO_TOKEN = kept_text("The token endpoint answered {status} without a usable access token.")
_NOT_BEARER = kept_text("The token endpoint issued a token that is not a Bearer token.")
_ANSWERED = kept_text("The token endpoint answered {status}.")
_ANSWERED_WITH = kept_text("The token endpoint answered {status} ({said}).")
_REDIRECTS = kept_text("{reason} Redirects are not followed; enter the token URL it leads to.")
_WRONG = kept_text("{reason} Check the credentials and the token URL.")


class GrantError(Exception):
    """Base of both. ``reason``, a kept text, is safe to show to an administrator: it holds no secret."""

    def __init__(self, reason: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


class GrantRefused(GrantError):
    """Somebody has to change the connection, or the account it names."""


class GrantFailed(GrantError):
    """A fault of the moment: network, overload, a broken response."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A token just issued. ``claims`` come from its JWT, unverified: good for finding hosts, for nothing else."""

    value: str = field(repr=False)
    lifetime_s: float
    claims: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What goes over the wire. ``secrets``: values that no message may repeat."""

    url: str
    headers: dict[str, str] = field(repr=False)
    form: dict[str, str] | None = field(default=None, repr=False)
    json: dict[str, str] | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


def request_for(connection: ConnectionSpec, *, url: str) -> TokenRequest:
    """The token request of a connection; raises :class:`GrantRefused` when a secret is missing or cannot be read."""
    if missing := completeness.missing_secrets(connection):
        raise GrantRefused(_NOT_STORED[tuple(missing)])
    try:
        client_secret, key_secret = connection.client_secret(), connection.access_key_secret()
    except SecretUnreadable as error:
        raise GrantRefused(_UNREADABLE.format(why=error)) from None
    secrets = tuple(secret for secret in (client_secret, key_secret) if secret)
    if connection.grant_type == "access_key":
        body = {"accessKeyId": connection.access_key_id, "accessKeySecret": key_secret}
        return TokenRequest(url=url, headers={}, json=body, secrets=secrets)
    body = {"grant_type": connection.grant_type}
    if connection.grant_type == "password":
        body |= {"username": connection.access_key_id, "password": key_secret}
    if connection.scope:
        body["scope"] = connection.scope
    headers = {}
    if connection.client_auth == "body":
        body |= {"client_id": connection.client_id, "client_secret": client_secret}
    elif connection.client_auth == "basic" and connection.client_id:
        headers["Authorization"] = _basic(connection.client_id, client_secret, encode=connection.basic_urlencode)
    body |= dict(connection.token_extra_params)
    kind = "json" if connection.token_body == "json" else "form"
    return TokenRequest(url=url, headers=headers, secrets=secrets, **{kind: body})


def _basic(name: str, secret: str, *, encode: bool) -> str:
    if encode:
        name, secret = quote_plus(name), quote_plus(secret)
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def send(request: TokenRequest, *, http: requests.Session, connect_timeout_s: float, wall: float) -> Grant:
    """Make the request and read the response; blocks up to :data:`TIMEOUT_S`. Raises :class:`GrantError`.

    ``wall``: the time now, epoch seconds.
    """
    deadline = time.monotonic() + TIMEOUT_S
    try:
        response = http.post(
            request.url,
            headers=request.headers,
            data=request.form,
            json=request.json,
            timeout=(connect_timeout_s, TIMEOUT_S),
            allow_redirects=False,
            stream=True,
        )
        with response:
            body = read_bounded(response, deadline=deadline)
    except HostRefused as error:
        raise GrantRefused(TOKEN_ENDPOINT_REFUSED.format(why=error)) from None
    except requests.RequestException as error:
        # The exception's text may name the URL, never the body; still only its kind is kept.
        raise GrantFailed(_NOT_REACHED.format(fault=type(error).__name__)) from None
    waits = retry_after_s(response.headers.get("Retry-After"), date=response.headers.get("Date"), wall=wall)
    return read(response.status_code, body, waits_s=waits, secrets=request.secrets, wall=wall)


def read_bounded(response: requests.Response, *, deadline: float) -> bytes:
    """The body, as long as it is short and comes before ``deadline`` (monotonic); raises :class:`GrantFailed`."""
    body = bytearray()
    for chunk in response.iter_content(16_384):
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            raise GrantFailed(_TOO_LONG)
        if time.monotonic() > deadline:
            raise GrantFailed(_TOO_SLOW)
    return bytes(body)


def read(status: int, body: bytes, *, waits_s: float | None, secrets: tuple[str, ...], wall: float) -> Grant:
    """The grant in a response of the token endpoint; raises :class:`GrantError`. ``waits_s``: its Retry-After."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        data = None
    if not 200 <= status < 300:
        raise _error(status, data if isinstance(data, dict) else {}, waits_s=waits_s, secrets=secrets)
    if not isinstance(data, dict):
        raise GrantFailed(_NOT_JSON.format(status=status))
    value = data.get("access_token") or data.get("accessToken")
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise GrantFailed(_NO_TOKEN.format(status=status))
    kind = data.get("token_type") or data.get("tokenType") or "Bearer"
    if str(kind).lower() != "bearer":
        raise GrantRefused(_NOT_BEARER)
    id_token = data.get("id_token") or data.get("idToken")
    access = claims(value)
    return Grant(
        value=value,
        lifetime_s=_lifetime(data, access, wall=wall),
        claims=access | (claims(id_token) if isinstance(id_token, str) else {}),
    )


def claims(token: str) -> dict[str, Any]:
    """What a JWT says about itself, unverified; empty when it is no JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError, binascii.Error):
        return {}
    return found if isinstance(found, dict) else {}


def _lifetime(data: dict[str, Any], access: dict[str, Any], *, wall: float) -> float:
    """Seconds a token is good for. A lifetime that makes no sense counts as none: a 401 will tell."""
    said = _positive(data.get("expires_in", data.get("expiresIn")))
    if said is None and (expires := _positive(access.get("exp"))) is not None:
        # Measured from its own issue, so that the two clocks need not agree.
        said = _positive(expires - (_positive(access.get("iat")) or wall))
    return min(said or DEFAULT_LIFETIME_S, LONGEST_LIFETIME_S)


def _positive(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _error(status: int, data: dict[str, Any], *, waits_s: float | None, secrets: tuple[str, ...]) -> GrantError:
    code = str(data.get("error") or "")
    for key in ("error_description", "errorDescription", "error_Description", "message"):
        if said := data.get(key):
            code += f": {said}" if code else str(said)
            break
    answered = _ANSWERED_WITH if code else _ANSWERED
    reason = answered.format(status=status, said=masked(code, secrets))
    if 300 <= status < 400:
        return GrantRefused(_REDIRECTS.format(reason=reason))
    if status in _CONFIGURATION_STATUSES and data.get("error") not in _TRANSIENT_ERRORS:
        return GrantRefused(_WRONG.format(reason=reason))
    return GrantFailed(reason, retry_after_s=waits_s)


def masked(text: str, secrets: tuple[str, ...]) -> str:
    """``text`` without any of ``secrets``, without control characters, 200 characters at most."""
    for secret in secrets:
        text = text.replace(secret, "•••")
    return "".join(c if c.isprintable() else " " for c in text)[:200]
