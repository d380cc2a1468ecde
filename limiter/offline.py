"""Checks that run on any machine: an exported file, and a copy of the anchors. They need neither settings nor models.

The key to verify with is the one given, or the platform's own where the secret it is derived from is at hand.
"""

from __future__ import annotations

import base64
import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from limiter.record import anchor_files, signing
from limiter.reports import manifest


class NotVerified(Exception):
    """The files were altered, or cannot be checked; the message names the reason."""


def add_export_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=Path)
    parser.add_argument("--manifest", type=Path, help="Default: the file's name with .manifest.json added.")
    parser.add_argument(
        "--public-key", help="Base64, as the operator gave it to you. Default: the one of AUDIT_KEY or SECRET_KEY."
    )


def add_anchor_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--anchors", type=Path, required=True, help="Directory with a copy of the anchors.")
    parser.add_argument("--public-key", help="As of verify_export; anchors have a key of their own.")


def verify_export(file: Path, *, beside: Path | None, public: str | None, secret: str) -> str:
    """What the manifest says of the file, in a sentence; raises :class:`NotVerified`."""
    beside = beside or file.with_name(file.name + ".manifest.json")
    try:
        data = json.loads(beside.read_text())
        known = public or (signing.public_key(signing.key(manifest.PURPOSE, secret=secret)) if secret else "")
        manifest.verify(file, data, public=known or _own(data))
    except (OSError, ValueError) as error:
        raise NotVerified(f"Cannot read: {error}") from None
    except manifest.ManifestBroken as broken:
        raise NotVerified(f"BROKEN: {broken}") from None
    if not known:
        raise NotVerified(_unknown(f"{file.name} is the file that its manifest names, which was signed", _own(data)))
    return f"{file.name}: {data['rows']:,} rows, as signed for {data['requested_by']}."


def verify_anchors(folder: Path, *, public: str | None, secret: str) -> str:
    """How many anchors hang together; raises :class:`NotVerified`."""
    if not folder.is_dir():
        raise NotVerified(f"Cannot read: {folder} is no directory.")
    try:
        if not public and not secret:
            first = next(iter(sorted(folder.glob("*.json"))), None)
            own = _own(json.loads(first.read_text())) if first else ""
            raise NotVerified(_unknown("The anchors say that they were signed", own))
        key = _public(public) if public else signing.key(anchor_files.PURPOSE, secret=secret).public_key()
        days = [name for name, _ in anchor_files.read(folder, key)]
    except (OSError, ValueError) as error:
        raise NotVerified(f"Cannot read: {error}") from None
    except anchor_files.AnchorBroken as broken:
        raise NotVerified(f"BROKEN: {broken}") from None
    if not days:
        raise NotVerified(f"There are no anchors in {folder}.")
    return f"{len(days)} anchors from {days[0]} to {days[-1]} are as signed. The record itself was not looked at."


def _public(text: str) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))


def _own(signed: Any) -> str:
    """The key inside the signed data. By itself it proves nothing: anyone who alters a file can sign it anew."""
    return str(signed.get("public_key", "")) if isinstance(signed, dict) else ""


def _unknown(what: str, key: str) -> str:
    return (
        f"NOT PROVEN: {what} with the key {key or '(none)'}. Whether that is the platform's key nobody can tell here:"
        " give the key that you have from its operator with --public-key, or AUDIT_KEY (without one SECRET_KEY)."
    )
