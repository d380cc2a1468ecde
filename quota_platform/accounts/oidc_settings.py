"""The identity provider as allauth's settings have it. Read by the settings, so without models."""

from __future__ import annotations

from typing import Any

from quota_platform.accounts.settings import AccountEnv

PROVIDER = "sso"


def providers(env: AccountEnv) -> dict[str, Any]:
    """The value of SOCIALACCOUNT_PROVIDERS."""
    if not env.OIDC_ISSUER:
        return {}
    app = {
        "provider_id": PROVIDER,
        "name": env.OIDC_NAME,
        "client_id": env.OIDC_CLIENT_ID,
        "secret": env.OIDC_CLIENT_SECRET.get_secret_value(),
        "settings": {"server_url": env.OIDC_ISSUER, "oauth_pkce_enabled": True, "scope": env.OIDC_SCOPES},
    }
    return {"openid_connect": {"APPS": [app]}}
