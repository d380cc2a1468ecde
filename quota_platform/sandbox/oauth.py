"""The token endpoints: the global one, the regional access-key one, and the plain OAuth2 one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quota_platform.sandbox import credentials
from quota_platform.sandbox.accounts import BusinessUnit, same
from quota_platform.sandbox.counters import count
from quota_platform.sandbox.credentials import Credentials
from quota_platform.sandbox.log import LogEntry
from quota_platform.sandbox.responses import SandboxResponse, reply
from quota_platform.sandbox.tokens import Owner, camel

if TYPE_CHECKING:
    from quota_platform.sandbox.state import SandboxState

PLAIN = "/oauth/token"
GRANTS = {"client_credentials", "password", "refresh_token"}


def global_token(state: SandboxState, entry: LogEntry) -> SandboxResponse:
    """``POST /auth/token``: password and refresh; client credentials only when the rules allow them."""
    given = credentials.read(entry)
    if given.get("grant_type") == "client_credentials" and not state.tokens.rules.allow_client_credentials:
        return _unsupported(state, entry)
    return _grant(state, entry, given)


def plain_token(state: SandboxState, entry: LogEntry) -> SandboxResponse:
    """``POST /oauth/token``: any grant, errors spelt as Genesys spells them."""
    return _grant(state, entry, credentials.read(entry))


def access_key_token(state: SandboxState, entry: LogEntry) -> SandboxResponse:
    """``POST /authentication/v1/token/access-key``: an access key and no client."""
    given = credentials.read(entry)
    return _by_access_key(state, entry, given.get("accessKeyId"), given.get("accessKeySecret"), client_id="")


def user_refresh(state: SandboxState, entry: LogEntry) -> SandboxResponse:
    """``POST /public/user/refresh`` with ``{"token": …}``."""
    return _refresh(state, entry, credentials.read(entry).get("token"))


def _grant(state: SandboxState, entry: LogEntry, given: Credentials) -> SandboxResponse:
    grant = given.get("grant_type")
    if given.style == "both":
        state.conduct.breach("both_client_auths")
        return _invalid_request(state, entry, "Send the client's credentials once: in Basic or in the body.")
    if not grant:
        return _invalid_request(state, entry, "grant_type is missing.")
    if grant not in GRANTS:
        return _unsupported(state, entry)
    client = credentials.client_of(state.accounts, given)
    if client is None and not _may_go_without(state, given):
        return _error(
            state, entry, state.tokens.rules.error_status, error="invalid_client", description="authentication failed"
        )
    client_id = client.client_id if client else ""
    if grant == "refresh_token":
        return _refresh(state, entry, given.get("refresh_token"))
    if client is None or grant == "password":
        return _by_access_key(state, entry, given.get("username"), given.get("password"), client_id=client_id)
    scopes = frozenset(given.get("scope").split())
    return _mint(state, entry, Owner(client_id, client_id, BusinessUnit(client.unit), scopes), refreshable=False)


def _may_go_without(state: SandboxState, given: Credentials) -> bool:
    """True when this grant needs no client, because the rules say so and none was named."""
    asked = state.tokens.rules.require_client or given.get("grant_type") == "client_credentials"
    return not asked and given.style == "none"


def _by_access_key(
    state: SandboxState, entry: LogEntry, key_id: str, secret: str, *, client_id: str
) -> SandboxResponse:
    key = state.accounts.access_keys.get(key_id)
    if key is None or not same(key.secret, secret):
        return _invalid_grant(state, entry, "The access key is wrong or revoked.")
    return _mint(state, entry, Owner(client_id, key.key_id, BusinessUnit(key.unit)), refreshable=True)


def _refresh(state: SandboxState, entry: LogEntry, value: str) -> SandboxResponse:
    token = state.tokens.find_refresh(value)
    if token is None or not token.live(state.now()):
        return _invalid_grant(state, entry, "The refresh token is not good any more.")
    token.revoked = True
    return _mint(state, entry, token.owner, refreshable=True)


def _mint(state: SandboxState, entry: LogEntry, owner: Owner, *, refreshable: bool) -> SandboxResponse:
    if state.tokens.is_early(owner, now=entry.at):
        state.conduct.breach("early_token")
    fields = state.tokens.mint(owner, now=state.now(), refreshable=refreshable)
    entry.unit, entry.ran, entry.minted = owner.unit.number, True, fields["access_token"]
    count(state.counters.minted, owner.account)
    if state.tokens.rules.camel_case:
        fields = camel(fields)
    return reply(fields, headers={"Cache-Control": "no-store"})


def _invalid_grant(state: SandboxState, entry: LogEntry, description: str) -> SandboxResponse:
    return _error(state, entry, state.tokens.rules.error_status, error="invalid_grant", description=description)


def _invalid_request(state: SandboxState, entry: LogEntry, description: str) -> SandboxResponse:
    return _error(state, entry, 400, error="invalid_request", description=description)


def _unsupported(state: SandboxState, entry: LogEntry) -> SandboxResponse:
    return _error(state, entry, 400, error="unsupported_grant_type", description="This grant is not supported here.")


def _error(state: SandboxState, entry: LogEntry, status: int, *, error: str, description: str) -> SandboxResponse:
    if entry.path.lower().endswith(PLAIN):
        body = {"error": error, "description": description, "error_description": description}
    else:
        body = {"error": error, state.tokens.rules.error_key: description}
    return reply(body, status=status, headers={"Cache-Control": "no-store"})
