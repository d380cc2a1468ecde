"""The tokens the sandbox has issued: minting, checking, refreshing, revoking."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, field
from typing import Any

from quota_platform.sandbox import signing
from quota_platform.sandbox.accounts import BusinessUnit
from quota_platform.sandbox.fields import Fields

KEEP = 20_000
CAMEL = {
    "access_token": "accessToken",
    "token_type": "tokenType",
    "refresh_token": "refreshToken",
    "expires_in": "expiresIn",
    "id_token": "idToken",
}


@dataclass(slots=True)
class TokenRules:
    """How tokens are issued; ``PUT /__sim__/tokens`` changes it."""

    expires_in: int = 3600
    refresh_expires_in: int = 7200
    allow_client_credentials: bool = False
    require_client: bool = True
    require_scope: bool = False
    error_key: str = "errorDescription"
    error_status: int = 401
    camel_case: bool = False
    id_token: bool = True
    clock_skew_seconds: int = 0

    def public(self) -> dict[str, Any]:
        return asdict(self)

    def change(self, fields: Fields) -> None:
        """Take over the rules that a control request names."""
        new = TokenRules(
            expires_in=fields.whole("expires_in", low=1, high=86_400, default=self.expires_in),
            refresh_expires_in=fields.whole("refresh_expires_in", low=1, high=86_400, default=self.refresh_expires_in),
            allow_client_credentials=fields.flag("allow_client_credentials", default=self.allow_client_credentials),
            require_client=fields.flag("require_client", default=self.require_client),
            require_scope=fields.flag("require_scope", default=self.require_scope),
            error_key=fields.text(
                "error_key", default=self.error_key, choices=("errorDescription", "error_description")
            ),
            error_status=fields.whole("error_status", low=400, high=401, default=self.error_status),
            camel_case=fields.flag("camel_case", default=self.camel_case),
            id_token=fields.flag("id_token", default=self.id_token),
            clock_skew_seconds=fields.whole(
                "clock_skew_seconds", low=-3600, high=3600, default=self.clock_skew_seconds
            ),
        )
        fields.done()
        self._take(new)

    def reset(self) -> None:
        self._take(TokenRules())

    def _take(self, new: TokenRules) -> None:
        for name, value in asdict(new).items():
            setattr(self, name, value)


@dataclass(frozen=True, slots=True)
class Owner:
    """The holder of a token. ``account``: the access key of the password grant, or the client itself."""

    client_id: str
    account: str
    unit: BusinessUnit
    scopes: frozenset[str] = frozenset()


@dataclass(slots=True)
class SandboxToken:
    """One issued token."""

    value: str = field(repr=False)
    owner: Owner
    issued_at: float
    expires_at: float
    revoked: bool = False

    def live(self, now: float) -> bool:
        return not self.revoked and now < self.expires_at


class TokenBook:
    """Every token that may still be presented, and the refresh tokens beside them."""

    def __init__(self, *, issuer: str = "") -> None:
        self.issuer = issuer
        self.rules = TokenRules()
        self._access: dict[str, SandboxToken] = {}
        self._refresh: dict[str, SandboxToken] = {}
        self._newest: dict[Owner, SandboxToken] = {}

    def find(self, value: str) -> SandboxToken | None:
        return self._access.get(value)

    def find_refresh(self, value: str) -> SandboxToken | None:
        return self._refresh.get(value)

    def is_early(self, owner: Owner, *, now: float) -> bool:
        """True when the owner's newest token is good and has more than half of its life before it.

        A client that mints then keeps no token, or let several callers mint at once.
        """
        newest = self._newest.get(owner)
        if newest is None or not newest.live(now):
            return False
        return newest.expires_at - now > (newest.expires_at - newest.issued_at) / 2

    def mint(self, owner: Owner, *, now: float, refreshable: bool) -> dict[str, Any]:
        """Issue a token and return the response's fields in snake case."""
        self._prune(now)
        life = self.rules.expires_in
        claims = self._claims(owner, now=now + self.rules.clock_skew_seconds, life=life)
        token = SandboxToken(signing.sign(claims), owner, now, now + life)
        self._access[token.value] = self._newest[owner] = token
        response: dict[str, Any] = {"access_token": token.value, "token_type": "Bearer", "expires_in": life}
        if owner.scopes:
            response["scope"] = " ".join(sorted(owner.scopes))
        if refreshable:
            refresh = SandboxToken(secrets.token_urlsafe(48), owner, now, now + self.rules.refresh_expires_in)
            self._refresh[refresh.value] = refresh
            response["refresh_token"] = refresh.value
            if self.rules.id_token:
                response["id_token"] = signing.sign(claims | {"token_use": "id"})
        return response

    def undelivered(self, value: str) -> None:
        """Nobody was given this token: asking again is no breach."""
        token = self._access.get(value)
        if token is not None and self._newest.get(token.owner) is token:
            del self._newest[token.owner]

    def revoke(self, *, client_id: str | None = None, unit: int | None = None, refresh: bool = False) -> int:
        """Make live tokens worthless although they have not expired; returns how many it hit."""
        hit = 0
        for token in (*self._access.values(), *(self._refresh.values() if refresh else ())):
            of_client = client_id is None or token.owner.client_id == client_id
            if of_client and (unit is None or token.owner.unit.number == unit) and not token.revoked:
                token.revoked = True
                hit += 1
        return hit

    def clear(self) -> None:
        for book in (self._access, self._refresh, self._newest):
            book.clear()

    def values(self) -> list[str]:
        return [*self._access, *self._refresh]

    def _claims(self, owner: Owner, *, now: float, life: int) -> dict[str, Any]:
        unit = owner.unit
        return {
            "iss": self.issuer,
            "aud": owner.client_id,
            "sub": f"user:{owner.account}",
            "iat": int(now),
            "exp": int(now) + life,
            "jti": secrets.token_hex(8),
            "tenantId": unit.tenant_id,
            "tenant": unit.name,
            "icBUId": unit.number,
            "icClusterId": unit.cluster,
            "area": unit.area,
            "userId": owner.account,
            "role": {"legacyId": "Administrator"},
        } | ({"scope": " ".join(sorted(owner.scopes))} if owner.scopes else {})

    def _prune(self, now: float) -> None:
        for book in (self._access, self._refresh):
            if len(book) >= KEEP:
                gone = [v for v, token in book.items() if not token.live(now)] or list(book)[: KEEP // 2]
                for value in gone:
                    del book[value]
        if len(self._newest) >= KEEP:
            self._newest.clear()


def camel(response: dict[str, Any]) -> dict[str, Any]:
    """The response's fields as CXone's regional endpoints spell them."""
    return {CAMEL.get(name, name): value for name, value in response.items()}
