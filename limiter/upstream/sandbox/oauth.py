"""The token endpoints: the global one, the regional access-key one, and the plain OAuth2 one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limiter.upstream.sandbox import credentials
from limiter.upstream.sandbox.accounts import AccessKey, Unit, same
from limiter.upstream.sandbox.answers import Answer, reply
from limiter.upstream.sandbox.counters import count
from limiter.upstream.sandbox.credentials import Credentials
from limiter.upstream.sandbox.log import Entry
from limiter.upstream.sandbox.tokens import Owner, camel

if TYPE_CHECKING:
    from limiter.upstream.sandbox.state import State

GRANTS = {"client_credentials", "password", "refresh_token"}


def global_token(state: State, entry: Entry) -> Answer:
    """``POST /auth/token``: password and refresh; client credentials only when the rules allow them."""
    given = credentials.read(entry)
    if given.get("grant_type") == "client_credentials" and not state.tokens.rules.allow_client_credentials:
        return _error(state, 400, "unsupported_grant_type", "This grant is not supported here.")
    return _grant(state, entry, given)


def plain_token(state: State, entry: Entry) -> Answer:
    """``POST /oauth/token``: any grant, errors spelt as Genesys spells them."""
    return _grant(state, entry, credentials.read(entry))


def access_key_token(state: State, entry: Entry) -> Answer:
    """``POST /authentication/v1/token/access-key``: an access key and no client."""
    given = credentials.read(entry)
    key = _access_key(state, given.get("accessKeyId"), given.get("accessKeySecret"))
    if key is None:
        return _error(state, state.tokens.rules.error_status, "invalid_grant", "The access key is wrong or revoked.")
    return _mint(state, entry, Owner("", key.key_id, Unit(key.unit)), refreshable=True)


def user_refresh(state: State, entry: Entry) -> Answer:
    """``POST /public/user/refresh`` with ``{"token": …}``."""
    return _refresh(state, entry, credentials.read(entry).get("token"))


def _grant(state: State, entry: Entry, given: Credentials) -> Answer:
    grant = given.get("grant_type")
    if given.style == "both":
        state.conduct.breach("both_client_auths")
        return _error(state, 400, "invalid_request", "Send the client's credentials once: in Basic or in the body.")
    if not grant:
        return _error(state, 400, "invalid_request", "grant_type is missing.")
    if grant not in GRANTS:
        return _error(state, 400, "unsupported_grant_type", "This grant is not supported here.")
    client = credentials.client_of(state.accounts, given)
    if client is None and (state.tokens.rules.require_client or given.style != "none" or grant == "client_credentials"):
        return _error(state, state.tokens.rules.error_status, "invalid_client", "authentication failed")
    client_id = client.client_id if client else ""
    if grant == "refresh_token":
        return _refresh(state, entry, given.get("refresh_token"))
    if grant == "password":
        key = _access_key(state, given.get("username"), given.get("password"))
        if key is None:
            return _error(
                state, state.tokens.rules.error_status, "invalid_grant", "The access key is wrong or revoked."
            )
        return _mint(state, entry, Owner(client_id, key.key_id, Unit(key.unit)), refreshable=True)
    assert client is not None
    scopes = frozenset(given.get("scope").split())
    return _mint(state, entry, Owner(client_id, client_id, Unit(client.unit), scopes), refreshable=False)


def _access_key(state: State, key_id: str, secret: str) -> AccessKey | None:
    key = state.accounts.access_keys.get(key_id)
    return key if key is not None and same(key.secret, secret) else None


def _refresh(state: State, entry: Entry, value: str) -> Answer:
    token = state.tokens.find_refresh(value)
    if token is None or not token.live(state.now()):
        return _error(
            state, state.tokens.rules.error_status, "invalid_grant", "The refresh token is not good any more."
        )
    token.revoked = True
    return _mint(state, entry, token.owner, refreshable=True)


def _mint(state: State, entry: Entry, owner: Owner, *, refreshable: bool) -> Answer:
    if state.tokens.is_early(owner, now=entry.at):
        state.conduct.breach("early_token")
    fields = state.tokens.mint(owner, now=state.now(), refreshable=refreshable)
    entry.unit, entry.ran = owner.unit.number, True
    count(state.counters.minted, owner.account)
    if state.tokens.rules.camel_case:
        fields = camel(fields)
    return reply(fields, headers={"Cache-Control": "no-store"})


def _error(state: State, status: int, error: str, description: str) -> Answer:
    body = {"error": error, state.tokens.rules.error_key: description}
    return reply(body, status=status, headers={"Cache-Control": "no-store"})
