"""The settings of python3-saml: the platform, its provider, and how much of a message has to be signed."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import reverse
from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.constants import OneLogin_Saml2_Constants as Names
from onelogin.saml2.settings import OneLogin_Saml2_Settings

from quota_platform.base.public_url import public_url


def address_of(page: str) -> str:
    """The address of one of SAML's pages as the provider knows it, whichever name this request came under."""
    return public_url(reverse(page))


def of_platform() -> OneLogin_Saml2_Settings:
    """For the platform's metadata, which needs no provider."""
    return OneLogin_Saml2_Settings(_settings(), sp_validation_only=True)


def of_sign_in(provider: dict[str, Any]) -> OneLogin_Saml2_Settings:
    """The assertion or the whole response is signed: python3-saml reads nothing beside the signed part."""
    return OneLogin_Saml2_Settings({**_settings(), "idp": provider})


def of_sign_out(provider: dict[str, Any], query: dict[str, str]) -> OneLogin_Saml2_Auth:
    """Its requests and responses are signed: else any page could sign people out. Ours are, if we have a key."""
    return OneLogin_Saml2_Auth(
        {**came_to("saml_sls"), "get_data": query}, {**_settings(wantMessagesSigned=True), "idp": provider}
    )


def came_to(page: str) -> dict[str, Any]:
    """The address that a message was sent to, as python3-saml compares it with the one in the message."""
    parts = urlsplit(address_of(page))
    return {
        "https": "on" if parts.scheme == "https" else "off",
        "http_host": parts.netloc,
        "script_name": parts.path,
        "get_data": {},
        "post_data": {},
    }


def _settings(**security: bool) -> dict[str, Any]:
    env = settings.ENV
    is_signed = bool(env.SAML_CERTIFICATE)
    return {
        "strict": True,
        "security": {
            "authnRequestsSigned": is_signed,
            "logoutRequestSigned": is_signed,
            "logoutResponseSigned": is_signed,
            "signatureAlgorithm": Names.RSA_SHA256,
            "digestAlgorithm": Names.SHA256,
            "rejectDeprecatedAlgorithm": True,
            "requestedAuthnContext": False,
            "allowRepeatAttributeName": True,
            "allowSingleLabelDomains": True,
            "metadataValidUntil": "",
            "metadataCacheDuration": "P1D",
            **security,
        },
        "sp": {
            "entityId": env.SAML_ENTITY_ID or address_of("saml_metadata"),
            "assertionConsumerService": {"url": address_of("saml_acs"), "binding": Names.BINDING_HTTP_POST},
            "singleLogoutService": {"url": address_of("saml_sls"), "binding": Names.BINDING_HTTP_REDIRECT},
            "NameIDFormat": Names.NAMEID_UNSPECIFIED,
            "x509cert": env.SAML_CERTIFICATE,
            "privateKey": env.SAML_PRIVATE_KEY.get_secret_value(),
        },
    }
