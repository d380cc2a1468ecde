"""Which endpoint a path names. CXone's own paths are matched without regard to case, as NICE's hosts do."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from quota_platform.sandbox import discovery, endpoints, invocations, oauth, records, sink
from quota_platform.sandbox.log import LogEntry
from quota_platform.sandbox.responses import SandboxResponse

if TYPE_CHECKING:
    from quota_platform.sandbox.state import SandboxState


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint: its name, methods and handler, and whether it requires a bearer token."""

    endpoint: str
    handler: Callable[[SandboxState, LogEntry], SandboxResponse]
    methods: frozenset[str] = frozenset({"POST"})
    guarded: bool = True


GET = frozenset({"GET", "HEAD"})
ANY = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
WEB_ACTION = Route(endpoints.WEBACTION, invocations.web_action)
GENESYS = Route(endpoints.GENESYS_EXECUTE, invocations.genesys_execute)
SIGNAL = Route(endpoints.SIGNAL, invocations.signal)
REST = Route(endpoints.REST, invocations.rest, ANY)
VERSIONS = Route(endpoints.RECORDS, records.api_version, GET, guarded=False)

EXACT: dict[str, Route] = {
    "/oauth/token": Route(endpoints.TOKEN, oauth.plain_token, guarded=False),
    "/auth/token": Route(endpoints.TOKEN, oauth.global_token, guarded=False),
    "/authentication/v1/token/access-key": Route(endpoints.TOKEN, oauth.access_key_token, guarded=False),
    "/public/user/refresh": Route(endpoints.TOKEN, oauth.user_refresh, guarded=False),
    "/auth/jwks": Route(endpoints.DISCOVERY, discovery.jwks, GET, guarded=False),
    "/.well-known/openid-configuration": Route(endpoints.DISCOVERY, discovery.openid_configuration, GET, guarded=False),
    "/.well-known/cxone-configuration": Route(endpoints.DISCOVERY, discovery.cxone_configuration, GET, guarded=False),
    "/sink/alerts": Route(endpoints.SINK, sink.take, frozenset({"GET", "POST"}), guarded=False),
    "/apiversion": VERSIONS,
    "/incontactapi/apiversion": VERSIONS,
}
SERVICES: dict[str, Route] = {
    "scripts/start": Route(endpoints.SCRIPT_START, invocations.script_start),
    "interactions/work-items": Route(endpoints.WORK_ITEM, invocations.work_item),
    "business-unit": Route(endpoints.RECORDS, records.business_unit, GET),
    "server-time": Route(endpoints.RECORDS, records.server_time, GET),
    "skills": Route(endpoints.RECORDS, records.skills, GET),
}
_SERVICE = re.compile(r"/incontactapi/services/v\d+\.\d+/(.+)", re.IGNORECASE)
_SIGNAL = re.compile(r"interactions/([^/]+)/signal", re.IGNORECASE)
_WEB_ACTION = re.compile(r"/webactions/([^/]+)/invoke")
_GENESYS = re.compile(r"/api/v2/integrations/actions/([^/]+)/execute")
_UNIT = re.compile(r"/bu/(\d{7})(/.*)")


class Found(NamedTuple):
    """A route, what its path names, and the unit whose address was used."""

    route: Route
    action: str | None = None
    contact: str | None = None
    unit: int | None = None


def find(path: str) -> Found | None:
    """The endpoint at ``path`` (as sent, still percent-encoded), or None."""
    if match := _WEB_ACTION.fullmatch(path):
        return Found(WEB_ACTION, unquote(match[1]))
    if match := _UNIT.fullmatch(path):
        inner = find(match[2])
        return inner._replace(unit=int(match[1])) if inner else None
    if route := EXACT.get(path.lower()):
        return Found(route)
    if match := _SERVICE.fullmatch(path):
        return _service(match[1])
    if match := _GENESYS.fullmatch(path):
        return Found(GENESYS, unquote(match[1]))
    return Found(REST, unquote(path[len("/rest/") :])) if path.startswith("/rest/") else None


def _service(rest: str) -> Found | None:
    if route := SERVICES.get(rest.lower()):
        return Found(route)
    if match := _SIGNAL.fullmatch(rest):
        return Found(SIGNAL, contact=unquote(match[1]))
    return None
