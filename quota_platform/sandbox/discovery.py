"""The documents a client finds its way by: OpenID configuration, CXone configuration, signing keys."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from quota_platform.sandbox import signing
from quota_platform.sandbox.accounts import FIRST_UNIT
from quota_platform.sandbox.log import LogEntry
from quota_platform.sandbox.responses import SandboxResponse, api_error, reply

if TYPE_CHECKING:
    from quota_platform.sandbox.state import SandboxState


def openid_configuration(state: SandboxState, entry: LogEntry) -> SandboxResponse:
    """``GET /.well-known/openid-configuration``."""
    base = state.address_used(entry)
    return reply(
        {
            "issuer": base,
            "authorization_endpoint": f"{base}/auth/authorize",
            "token_endpoint": f"{base}/auth/token",
            "userinfo_endpoint": f"{base}/auth/userinfo",
            "end_session_endpoint": f"{base}/auth/authorize/logout",
            "jwks_uri": f"{base}/auth/jwks",
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid"],
        }
    )


def cxone_configuration(state: SandboxState, entry: LogEntry) -> SandboxResponse:
    """``GET /.well-known/cxone-configuration?tenantId=``: where a business unit lives.

    The first unit's API is at the sandbox's own address; each other one's under ``/bu/<number>``, as a stand-in for a
    host of its own, where only its own tokens are good.
    """
    wanted = parse_qs(entry.query).get("tenantId", [""])[0]
    unit = state.accounts.units().get(wanted)
    if unit is None:
        return api_error(404, error="not_found", description="No such tenantId.")
    base = state.address_used(entry)
    return reply(
        {
            "private": False,
            "ui_endpoint": f"{base}/ui",
            "auth_endpoint": base,
            "api_endpoint": base if unit.number == FIRST_UNIT else f"{base}/bu/{unit.number}",
            "area": unit.area,
            "cluster": unit.cluster,
            "domain": "niceincontact.com",
            "acdDomain": "nice-incontact.com",
            "uhDomain": "nice-incontact.com",
            "tenantId": unit.tenant_id,
            "globaldomain": "niceincontact.com",
        }
    )


def jwks(state: SandboxState, entry: LogEntry) -> SandboxResponse:
    """``GET /auth/jwks``."""
    return reply(signing.jwks())
