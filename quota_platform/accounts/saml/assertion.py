"""Verifying responses of the provider: signed by it, for this platform, now, and about an identity that lasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onelogin.saml2.constants import OneLogin_Saml2_Constants as Names
from onelogin.saml2.response import OneLogin_Saml2_Response
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from quota_platform.accounts.saml import configuration, metadata

MAX_CHARACTERS = 262_144
MAX_NAME_CHARACTERS = 191
"""As many as allauth stores."""
_CONFIRMED = "/saml:Subject/saml:SubjectConfirmation/saml:SubjectConfirmationData"


class AssertionRefused(Exception):
    """The response is not believed. The reason is for the log."""


@dataclass(frozen=True)
class Verified:
    """What the signed assertion says."""

    response: OneLogin_Saml2_Response
    """With ``get_nameid`` and ``get_attributes``, as allauth reads them."""
    assertion_id: str
    in_response_to: str | None
    """The request that it responds to; of the assertion, because the response around it may be unsigned."""
    ends_at: int
    """Until when it would be believed, in seconds since 1970."""


def verify(text: str) -> Verified:
    """Of the form field SAMLResponse. Raises AssertionRefused, or metadata.Unavailable."""
    if not text or len(text) > MAX_CHARACTERS:
        raise AssertionRefused(f"{len(text)} characters")
    provider = metadata.of_provider()
    try:
        return _verified(text, provider)
    except AssertionRefused:
        if (newer := metadata.newer_than(provider)) is None:
            raise
        return _verified(text, newer)


def _verified(text: str, provider: dict[str, Any]) -> Verified:
    try:
        response = OneLogin_Saml2_Response(configuration.of_sign_in(provider), text)
        response.is_valid(configuration.came_to("saml_acs"), raise_exceptions=True)
        return _for_us(response)
    except AssertionRefused:
        raise
    except Exception as error:  # a stranger's XML can fail in every layer, and none of these failures lets anybody in
        raise AssertionRefused(f"{type(error).__name__}: {error}") from error


def _for_us(response: OneLogin_Saml2_Response) -> Verified:
    """What python3-saml lets pass: it checks an audience, a recipient and an end only if the assertion names them."""
    if not response.get_audiences():
        raise AssertionRefused("the assertion names no audience")
    if response.get_nameid_format() == Names.NAMEID_TRANSIENT:
        raise AssertionRefused("the name identifier is transient: every sign-in would be another person")
    if len(response.get_nameid()) > MAX_NAME_CHARACTERS:
        raise AssertionRefused("the name identifier is too long")
    confirmed = response._query_assertion(_CONFIRMED)
    if len(confirmed) != 1:
        raise AssertionRefused(f"the assertion has {len(confirmed)} subject confirmations, not one")
    if confirmed[0].get("Recipient") != configuration.address_of("saml_acs"):
        raise AssertionRefused(f"the recipient is {confirmed[0].get('Recipient')}")
    if not confirmed[0].get("NotOnOrAfter"):
        raise AssertionRefused("the subject confirmation has no end")
    ends_at = OneLogin_Saml2_Utils.parse_SAML_to_time(confirmed[0].get("NotOnOrAfter"))
    return Verified(response, response.get_assertion_id(), confirmed[0].get("InResponseTo"), ends_at)
