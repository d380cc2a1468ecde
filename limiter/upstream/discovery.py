"""Where a CXone business unit lives: its own responses, remembered for a day, and the last ones if it is silent."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from dataclasses import dataclass
from typing import Any

import requests

from limiter.core import versioned
from limiter.core.versioned import Form
from limiter.upstream import grants
from quota_platform.base import hosts
from quota_platform.base.kept import kept_text
from tenants.directory import ConnectionSpec

TTL_S = 86_400
KEEP_S = 30 * 86_400
_TIMEOUT_S = 5.0
_API_HOST_REFUSED = kept_text("The API host may not be used: {why}")
_NO_API_HOST = kept_text("CXone did not say where this business unit's API is. Enter the base URL, or the area.")
_AREA = re.compile(r"[a-z]{2}[0-9]{1,2}", re.ASCII)
_TENANT = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where to ask for a token and where to invoke. ``at``: when this was found, epoch seconds; 0 for a guess."""

    token_url: str = ""
    token_at: float = 0.0
    api_base: str = ""
    api_at: float = 0.0
    fingerprint: str = ""

    def dump(self) -> str:
        return FORM.dump(dataclasses.asdict(self))


FORM = Form(
    "endpoints", {1: lambda data: Endpoints(**versioned.filled(data, dataclasses.asdict(Endpoints())))}, lenient=True
)
"""The first release takes these fields and no more."""


def parse(raw: bytes | str | None, *, fingerprint: str) -> Endpoints:
    """Stored endpoints, or empty ones when none are stored for these settings."""
    found = FORM.load_or_none(raw or None) or Endpoints()
    return found if found.fingerprint == fingerprint else Endpoints(fingerprint=fingerprint)


class Discovery:
    """Asks with one HTTP session and blocks. ``wall``: epoch seconds now.

    ``sandbox_hosts``: see :mod:`quota_platform.base.hosts`.
    """

    def __init__(self, http: requests.Session, *, wall: float, sandbox_hosts: frozenset[str]) -> None:
        self._http = http
        self._wall = wall
        self._sandbox_hosts = sandbox_hosts

    def token_endpoint(self, connection: ConnectionSpec, known: Endpoints) -> Endpoints:
        """``known`` with the token endpoint filled in; raises :class:`~limiter.upstream.grants.GrantRefused`."""
        if connection.token_url or not connection.discovers or connection.grant_type == "access_key":
            known = dataclasses.replace(known, token_url=connection.resolved_token_url, token_at=self._wall)
        elif not known.token_url or self._wall - known.token_at >= TTL_S:
            said = self._ask(f"{connection.issuer_url.rstrip('/')}/.well-known/openid-configuration")
            if url := _text(said, "token_endpoint"):
                known = dataclasses.replace(known, token_url=url, token_at=self._wall)
            elif not known.token_url:
                known = dataclasses.replace(known, token_url=connection.resolved_token_url)
        self.check(connection, known.token_url, refused=grants.TOKEN_ENDPOINT_REFUSED)
        return known

    def api_host(self, connection: ConnectionSpec, known: Endpoints, *, claims: dict[str, Any]) -> Endpoints:
        """``known`` with the API host filled in; raises :class:`~limiter.upstream.grants.GrantRefused`."""
        if connection.base_url or not connection.discovers:
            known = dataclasses.replace(known, api_base=connection.base_url, api_at=self._wall)
        elif not known.api_base or self._wall - known.api_at >= TTL_S:
            known = self._find_api_host(connection, known, claims)
        self.check(connection, known.api_base, refused=_API_HOST_REFUSED)
        return known

    def check(self, connection: ConnectionSpec, url: str, *, refused: str) -> None:
        """Refuse, with this text, a URL that the connection may not use, wherever it came from."""
        try:
            hosts.check_url(
                url,
                suffixes=connection.allowed_host_suffixes,
                sandbox_hosts=(self._sandbox_hosts or {"(none)"}) if connection.is_sandbox else (),
            )
        except hosts.HostRefused as error:
            raise grants.GrantRefused(refused.format(why=error)) from None

    def _find_api_host(self, connection: ConnectionSpec, known: Endpoints, claims: dict[str, Any]) -> Endpoints:
        tenant = connection.cxone_tenant_id or str(claims.get("tenantId") or "")
        said: dict[str, Any] = {}
        if _TENANT.fullmatch(tenant):
            issuer = connection.issuer_url.rstrip("/")
            said = self._ask(f"{issuer}/.well-known/cxone-configuration?tenantId={tenant}")
        if url := _text(said, "api_endpoint"):
            return dataclasses.replace(known, api_base=url.rstrip("/"), api_at=self._wall)
        if known.api_base:
            return known
        area = connection.area or str(claims.get("area") or "")
        if not _AREA.fullmatch(area):
            raise grants.GrantRefused(_NO_API_HOST)
        return dataclasses.replace(known, api_base=f"https://api-{area}.niceincontact.com")

    def _ask(self, url: str) -> dict[str, Any]:
        """A JSON object from ``url``; empty when there is none to be had."""
        deadline = time.monotonic() + _TIMEOUT_S
        try:
            with self._http.get(url, timeout=_TIMEOUT_S, allow_redirects=False, stream=True) as response:
                body = grants.read_bounded(response, deadline=deadline)
                said = json.loads(body) if response.status_code == 200 else None
        except (requests.RequestException, hosts.HostRefused, grants.GrantFailed, ValueError, RecursionError):
            return {}
        return said if isinstance(said, dict) else {}


def _text(said: dict[str, Any], key: str) -> str:
    value = said.get(key)
    return value if isinstance(value, str) and len(value) <= 255 else ""
