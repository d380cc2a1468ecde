"""The SAML provider as allauth's settings have it. Read by the settings, so without models."""

from __future__ import annotations

from typing import Any

from quota_platform.accounts.settings import SamlEnv

PROVIDER = "saml"
"""Its name at allauth, in the addresses of its pages, and in the accounts that came through it."""

_ATTRIBUTES = {
    "email": [
        "email",
        "mail",
        "urn:oid:0.9.2342.19200300.100.1.3",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
    ],
    "first_name": [
        "firstName",
        "givenName",
        "urn:oid:2.5.4.42",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname",
    ],
    "last_name": [
        "lastName",
        "sn",
        "urn:oid:2.5.4.4",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname",
    ],
    "username": [
        "username",
        "uid",
        "urn:oid:0.9.2342.19200300.100.1.1",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
    ],
}
"""What people are called, in the names that providers send by themselves. None of it decides who a person is."""


def is_used(env: SamlEnv) -> bool:
    return bool(env.SAML_METADATA_URL or env.SAML_METADATA_FILE)


def providers(env: SamlEnv) -> dict[str, Any]:
    """The value of SOCIALACCOUNT_PROVIDERS."""
    if not is_used(env):
        return {}
    app = {
        "provider_id": PROVIDER,
        "name": env.SAML_NAME,
        "client_id": PROVIDER,
        "settings": {"attribute_mapping": _ATTRIBUTES},
    }
    return {"saml": {"APPS": [app]}}
