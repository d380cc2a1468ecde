"""Manifests: the content, author and SHA-256 of an exported file, signed so that an altered byte shows.

The signature is Ed25519 over the canonical JSON of everything else, so anyone with the public key can verify a file
without this platform, its database or its secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from limiter.core.versioned import Form, Unreadable
from limiter.record import signing

PURPOSE = b"quota-platform export manifest"


FORM: Form[tuple[int, str]] = Form("manifest", {1: lambda data: (data["bytes"], data["sha256"])}, field=signing.VERSION)
"""How long the file is, and its SHA-256. One that names no version is of the first."""


class ManifestBroken(Exception):
    """The file or its manifest was altered; the message names which."""


def key() -> Ed25519PrivateKey:
    """The signing key; not the anchors' key."""
    return signing.key(PURPOSE, secret=signing.secret())


def public_key() -> str:
    """The key to verify with, as base64."""
    return signing.public_key(key())


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sign(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts with version, key and signature."""
    data = {**facts, signing.VERSION: FORM.writes, "public_key": public_key()}
    return signing.sign(key(), data, ascii_only=False)


def verify(path: Path, manifest: Any, *, public: str) -> None:
    """Raises :class:`ManifestBroken` unless ``public`` signed the manifest and the file is the one it names.

    The key inside the manifest proves nothing: anyone who alters a file can sign it anew with a key of their own.
    """
    try:
        signer = Ed25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True))
        signing.verify(signer, manifest, ascii_only=False)
    except (InvalidSignature, binascii.Error, ValueError, KeyError, TypeError, AttributeError):
        raise ManifestBroken("the manifest was not signed with this key, or was altered") from None
    try:
        size, sha256 = FORM.take(manifest)
    except Unreadable as error:
        raise ManifestBroken(f"the manifest was signed, but cannot be read here ({error})") from None
    if path.stat().st_size != size or digest(path) != sha256:
        raise ManifestBroken("the file is not the one the manifest was signed for")
