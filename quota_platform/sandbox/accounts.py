"""Who may ask the sandbox for a token: clients and access keys, and the business units they belong to."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from quota_platform.sandbox.fields import ControlError, Fields

FIRST_UNIT = 4_600_001
AUTH_STYLES = ("any", "basic", "body")
_NAMESPACE = uuid.UUID("11e85da0-f32c-7e10-898c-0242ac110003")


@dataclass(frozen=True, slots=True)
class BusinessUnit:
    """One business unit: a 7-digit number, and the UUID that discovery is asked with."""

    number: int
    area: str = "na1"
    cluster: str = "L36"

    @property
    def tenant_id(self) -> str:
        return str(uuid.uuid5(_NAMESPACE, str(self.number)))

    @property
    def name(self) -> str:
        return f"sandbox-{self.number}"


@dataclass(slots=True)
class SandboxAccount:
    """A registered application. ``auth``: the one style it may authenticate in, or ``any``."""

    client_id: str
    secret: str = field(repr=False)
    unit: int = FIRST_UNIT
    auth: str = "any"


@dataclass(slots=True)
class AccessKey:
    """An employee's access key: the user name and password of the password grant."""

    key_id: str
    secret: str = field(repr=False)
    unit: int = FIRST_UNIT


class Accounts:
    """All clients and access keys. Registering one again rotates its secret.

    ``changed`` is called when a control request has registered or removed one.
    """

    def __init__(self) -> None:
        self.clients: dict[str, SandboxAccount] = {}
        self.access_keys: dict[str, AccessKey] = {}
        self.changed: Callable[[], None] = lambda: None

    def add_client(self, client_id: str, *, secret: str, unit: int = FIRST_UNIT, auth: str = "any") -> SandboxAccount:
        self.clients[client_id] = SandboxAccount(client_id, secret, unit, auth)
        return self.clients[client_id]

    def add_access_key(self, key_id: str, *, secret: str, unit: int = FIRST_UNIT) -> AccessKey:
        self.access_keys[key_id] = AccessKey(key_id, secret, unit)
        return self.access_keys[key_id]

    def units(self) -> dict[str, BusinessUnit]:
        """Every unit that an account belongs to, by its tenant UUID; the first unit always exists."""
        numbers = {FIRST_UNIT} | {account.unit for account in self._all()}
        return {unit.tenant_id: unit for unit in map(BusinessUnit, sorted(numbers))}

    def unit_of(self, account_id: str) -> int | None:
        account = self.access_keys.get(account_id) or self.clients.get(account_id)
        return account.unit if account else None

    def secrets(self) -> list[str]:
        return [account.secret for account in self._all()]

    def _all(self) -> list[SandboxAccount | AccessKey]:
        return [*self.clients.values(), *self.access_keys.values()]

    def public(self) -> dict[str, Any]:
        """The accounts without their secrets."""
        return {
            "clients": [{"client_id": c.client_id, "unit": c.unit, "auth": c.auth} for c in self.clients.values()],
            "access_keys": [{"access_key_id": k.key_id, "unit": k.unit} for k in self.access_keys.values()],
            "units": [
                {"unit": u.number, "tenant_id": u.tenant_id, "area": u.area, "cluster": u.cluster}
                for u in self.units().values()
            ],
        }

    def put_client(self, fields: Fields) -> SandboxAccount:
        """Register a client, or change the one of that id, from a control request."""
        client_id = fields.text("client_id")
        old = self.clients.get(client_id)
        secret = fields.text("client_secret", default=old.secret if old else None)
        unit = read_unit(fields, default=old.unit if old else FIRST_UNIT)
        auth = fields.text("auth", default=old.auth if old else "any", choices=AUTH_STYLES)
        fields.done()
        client = self.add_client(client_id, secret=secret, unit=unit, auth=auth)
        self.changed()
        return client

    def put_access_key(self, fields: Fields) -> AccessKey:
        """Register an access key, or change the one of that id, from a control request."""
        key_id = fields.text("access_key_id")
        old = self.access_keys.get(key_id)
        secret = fields.text("access_key_secret", default=old.secret if old else None)
        unit = read_unit(fields, default=old.unit if old else FIRST_UNIT)
        fields.done()
        key = self.add_access_key(key_id, secret=secret, unit=unit)
        self.changed()
        return key

    def remove(self, fields: Fields) -> None:
        """Forget a client or an access key, as NICE does when one is revoked."""
        name = "access_key_id" if "access_key_id" in fields else "client_id"
        known: dict[str, Any] = self.access_keys if name == "access_key_id" else self.clients
        account_id = fields.text(name)
        fields.done()
        if known.pop(account_id, None) is None:
            raise ControlError(
                name, problem=f"{account_id!r:.60} is not registered.", remedy="See GET /__sim__/clients."
            )
        self.changed()


def read_unit(fields: Fields, *, default: int) -> int:
    """A business unit's number."""
    return fields.whole("unit", low=1_000_000, high=9_999_999, default=default)


def same(left: str, right: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(left.encode(), right.encode())
