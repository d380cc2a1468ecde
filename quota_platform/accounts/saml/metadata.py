"""The provider's metadata: read from its file or address, kept for a while, and read again when its keys change."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from django.conf import settings
from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser
from onelogin.saml2.xml_utils import OneLogin_Saml2_XML

KEPT_S = 3_600
AGAIN_S = 60
"""The least time between two readings, whatever strangers send."""
MAX_BYTES = 1_048_576
TIMEOUT_S = (5, 10)

log = logging.getLogger(__name__)


class Unavailable(Exception):
    """There is no metadata that can be used: neither now nor from before."""


@dataclass(frozen=True)
class _Kept:
    source: str
    provider: dict[str, Any] | None
    read_at: float


_kept = _Kept("", None, 0.0)
_lock = threading.Lock()


def of_provider(*, max_age_s: float | None = None) -> dict[str, Any]:
    """The provider's entity ID, addresses and certificates, as python3-saml has them. Raises Unavailable."""
    global _kept
    with _lock:
        source = settings.ENV.SAML_METADATA_URL or settings.ENV.SAML_METADATA_FILE
        if source != _kept.source:
            _kept = _Kept(source, None, 0.0)
        age_s = time.monotonic() - _kept.read_at
        if _kept.provider is None or age_s > (KEPT_S if max_age_s is None else max_age_s):
            _kept = _Kept(source, _read_or_kept(_kept), time.monotonic())
        if _kept.provider is None:
            raise Unavailable(source)
        return _kept.provider


def newer_than(known: dict[str, Any]) -> dict[str, Any] | None:
    """The metadata, if the provider has other keys or addresses by now: it may have rolled them over."""
    provider = of_provider(max_age_s=AGAIN_S)
    return provider if provider != known else None


def _read_or_kept(kept: _Kept) -> dict[str, Any] | None:
    try:
        return parsed(_bytes())
    except Exception as error:  # whatever is wrong with it, the metadata read before still serves
        log.warning("the metadata of the SAML provider cannot be read from %s: %s", kept.source, error)
        return kept.provider


def _bytes() -> bytes:
    if file := settings.ENV.SAML_METADATA_FILE:
        return Path(file).read_bytes()
    with requests.get(
        settings.ENV.SAML_METADATA_URL, timeout=TIMEOUT_S, stream=True, allow_redirects=False
    ) as response:
        if response.status_code != 200:
            raise ValueError(f"status {response.status_code}")
        body: bytes = response.raw.read(MAX_BYTES + 1, decode_content=True)
    if len(body) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    return body


def parsed(xml: bytes) -> dict[str, Any]:
    """The one provider that the metadata describes. Raises ValueError, or an error of the parser."""
    found = OneLogin_Saml2_XML.query(OneLogin_Saml2_XML.to_etree(xml), "//md:IDPSSODescriptor")
    if len(found) != 1:
        raise ValueError(f"it has {len(found)} providers: one is needed")
    provider: dict[str, Any] = OneLogin_Saml2_IdPMetadataParser.parse(xml)["idp"]
    if not provider.get("entityId") or not provider.get("singleSignOnService"):
        raise ValueError("it has no entity ID, or no SingleSignOnService for HTTP-Redirect")
    if not (provider.get("x509cert") or provider.get("x509certMulti", {}).get("signing")):
        raise ValueError("it has no certificate to verify signatures with")
    return provider
