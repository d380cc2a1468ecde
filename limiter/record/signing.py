"""Signatures of the record: Ed25519 over canonical JSON, with one key per purpose, all derived from one secret.

Canonical JSON has sorted keys and no spaces. Anyone with the public key can verify without the secret.
"""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings

VERSION = "version"
"""The field of a signed document that names the version of its layout; without it that is the first."""


def secret() -> str:
    """What this platform's keys are derived from: AUDIT_KEY, or SECRET_KEY when that is empty."""
    return settings.ENV.AUDIT_KEY.get_secret_value() or settings.ENV.SECRET_KEY.get_secret_value()


def key(purpose: bytes, *, secret: str) -> Ed25519PrivateKey:
    """The signing key for ``purpose``."""
    return Ed25519PrivateKey.from_private_bytes(hmac.digest(secret.encode(), purpose, "sha256"))


def public_key(of: Ed25519PrivateKey) -> str:
    """What to verify with, as base64."""
    return base64.b64encode(of.public_key().public_bytes_raw()).decode()


def sign(by: Ed25519PrivateKey, facts: dict[str, Any], *, ascii_only: bool = True) -> dict[str, Any]:
    """The facts with ``signature`` (base64); an earlier signature is replaced."""
    return {**facts, "signature": base64.b64encode(by.sign(_covered(facts, ascii_only))).decode()}


def verify(public: Ed25519PublicKey, signed: dict[str, Any], *, ascii_only: bool = True) -> None:
    """Raises ``InvalidSignature`` when something was altered, ValueError, KeyError or TypeError when it is no such."""
    signature = base64.b64decode(signed["signature"], validate=True)
    public.verify(signature, _covered(signed, ascii_only))


def _covered(facts: dict[str, Any], ascii_only: bool) -> bytes:
    rest = {name: value for name, value in facts.items() if name != "signature"}
    return json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=ascii_only).encode()
