"""Single logout: the messages by which platform and provider sign a person out on both sides."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from allauth.account.internal.flows.login import get_authentication_records
from django.conf import settings
from django.http import HttpRequest
from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.logout_request import OneLogin_Saml2_Logout_Request
from onelogin.saml2.response import OneLogin_Saml2_Response

from quota_platform.accounts.saml import configuration, metadata
from quota_platform.accounts.saml.assertion import AssertionRefused
from quota_platform.accounts.saml_settings import PROVIDER

MAX_QUERY_CHARACTERS = 8_192
"""Of a message, which is inflated before its signature can be verified."""
_SUBJECT, _LEFT = "saml_subject", "saml_left"

log = logging.getLogger(__name__)


def remember(request: HttpRequest, response: OneLogin_Saml2_Response) -> None:
    """How the provider calls the person and their session there, for as long as the session here lasts."""
    request.session[_SUBJECT] = {
        "name_id": response.get_nameid(),
        "name_id_format": response.get_nameid_format(),
        "nq": response.get_nameid_nq(),
        "spnq": response.get_nameid_spnq(),
        "session_index": response.get_session_index(),
    }


@dataclass(frozen=True)
class Left:
    """The request that takes a person who signed out here to the provider."""

    request_id: str
    where: str

    def note(self, request: HttpRequest) -> None:
        """In the session that follows the one that has ended."""
        request.session[_LEFT] = {"request_id": self.request_id, "where": self.where}


def request_for(request: HttpRequest) -> Left | None:
    """For a person who came through the provider, while their session lasts; None if it has no single logout.

    Metadata of any age will do: nobody waits for the provider in order to sign out here.
    """
    if not (settings.ENV.SAML_SINGLE_LOGOUT and (subject := _subject(request))):
        return None
    try:
        sign_out = configuration.of_sign_out(metadata.of_provider(max_age_s=math.inf), {})
        if sign_out.get_slo_url() is None:
            return None
        where = sign_out.logout(return_to="", **subject)
        return Left(sign_out.get_last_request_id(), where)
    except Exception as error:  # the session here ends all the same
        log.warning("a person who signed out stays signed in at the SAML provider: %s", error)
        return None


def _subject(request: HttpRequest) -> dict[str, Any] | None:
    """None for a session that began in another way, whatever an earlier attempt has left in it."""
    subject = request.session.get(_SUBJECT)
    records = get_authentication_records(request, request.user)
    names = [record.get("uid") for record in records if record.get("provider") == PROVIDER]
    if not subject or subject["name_id"] not in names:
        return None
    index = subject["session_index"]  # which python3-saml puts into its request as it is
    return {**subject, "session_index": escape(index) if index else None}


def take_address(request: HttpRequest) -> str:
    """Where to go, once; the request's ID stays, for the response to it."""
    left = request.session.get(_LEFT, {})
    where = str(left.pop("where", ""))
    if where:
        request.session[_LEFT] = left
    return where


def confirm(request: HttpRequest, query: dict[str, str]) -> None:
    """The provider's response to the request of this browser. Raises AssertionRefused unless it reports success."""
    request_id = request.session.pop(_LEFT, {}).get("request_id")
    if not request_id:
        raise AssertionRefused("nobody signed out here")
    _processed(query, "SAMLResponse", request_id=request_id)


@dataclass(frozen=True)
class SignOutAsked:
    """The provider's request to end a person's session here."""

    name: str
    respond_at: str


def asked(query: dict[str, str]) -> SignOutAsked:
    """Raises AssertionRefused unless the provider has signed it."""
    sign_out, where = _processed(query, "SAMLRequest")
    try:
        return SignOutAsked(OneLogin_Saml2_Logout_Request.get_nameid(sign_out.get_last_request_xml()), where)
    except Exception as error:
        raise AssertionRefused(f"{type(error).__name__}: {error}") from error


def _processed(query: dict[str, str], field: str, **expected: Any) -> tuple[OneLogin_Saml2_Auth, str]:
    """The message verified, and where to go with the response to it; with the provider's newer keys, if it has any."""
    if not 0 < len(query.get(field, "")) <= MAX_QUERY_CHARACTERS:
        raise AssertionRefused(f"no {field}, or too long a one")
    provider = metadata.of_provider()
    try:
        return _verified(provider, query, expected)
    except AssertionRefused:
        if (newer := metadata.newer_than(provider)) is None:
            raise
        return _verified(newer, query, expected)


def _verified(
    provider: dict[str, Any], query: dict[str, str], expected: dict[str, Any]
) -> tuple[OneLogin_Saml2_Auth, str]:
    try:
        sign_out = configuration.of_sign_out(provider, query)
        where = sign_out.process_slo(keep_local_session=True, **expected)
    except Exception as error:  # as in assertion.py
        raise AssertionRefused(f"{type(error).__name__}: {error}") from error
    if errors := sign_out.get_errors():
        raise AssertionRefused(", ".join(errors))
    return sign_out, where
