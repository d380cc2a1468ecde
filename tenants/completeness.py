"""Which secrets a connection needs and lacks: asked when it is saved, on its page, by the check and before a token is.

Without them every call is a 502: the upstream would refuse a request that no one has signed in for.
"""

from __future__ import annotations

from typing import Protocol

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from tenants import presets

SECRETS = {"client_secret": gettext_noop("client secret"), "access_key_secret": gettext_noop("access key secret")}
"""The write-only fields of forms and API, and what people call them."""


class HasCredentials(Protocol):
    """A connection's row, or what a worker holds of it."""

    @property
    def preset(self) -> str: ...
    @property
    def grant_type(self) -> str: ...
    @property
    def client_auth(self) -> str: ...
    @property
    def client_id(self) -> str: ...


def missing_secrets(connection: HasCredentials) -> list[str]:
    """The names of those that its way to get a token needs and that are not stored."""
    return [name for name in _needed(connection) if not getattr(connection, f"{name}_sealed")]


def named(secrets: list[str]) -> str:
    """ "client secret and access key secret", in the reader's language."""
    words = [_(SECRETS[name]) for name in secrets]
    return _("{one} and {other}").format(one=words[0], other=words[1]) if len(words) == 2 else "".join(words)


def _needed(connection: HasCredentials) -> list[str]:
    preset = presets.PRESETS[connection.preset]

    def used(name: str) -> str:
        return getattr(connection, name) or "" if name in preset.fields else ""

    grant, auth = used("grant_type") or preset.grant_type, used("client_auth") or preset.client_auth
    secret_needed = used("client_id") and auth != "none" and grant not in preset.public_grants
    needed = ["client_secret"] if secret_needed else []
    return [*needed, "access_key_secret"] if grant in ("password", "access_key") else needed
