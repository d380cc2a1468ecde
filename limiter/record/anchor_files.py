"""Reading anchors: on any machine, with nothing but a copy of the files and the public key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from limiter.core.versioned import Form, Unreadable
from limiter.record import signing

PURPOSE = b"quota-platform audit anchor"


def _anchor(data: dict[str, Any]) -> dict[str, Any]:
    """All of it; what readers look for has to be there."""
    heads = {
        tenant: {"position": int(each["position"]), "hash": str(each["hash"])} for tenant, each in data["heads"].items()
    }
    return {**data, "heads": heads, "previous": data["previous"]}


FORM = Form("anchor", {1: _anchor}, field=signing.VERSION)


class AnchorBroken(Exception):
    """An anchor is not what this platform signed; the message says which and why."""


def read(folder: Path, public: Ed25519PublicKey) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every file with its name, oldest first; raises :class:`AnchorBroken`."""
    before: Path | None = None
    for path in sorted(folder.glob("*.json")):
        yield path.name, _verified(path, before, public)
        before = path


def digest(path: Path) -> str:
    """The entry about this file in the next day's."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _verified(path: Path, before: Path | None, public: Ed25519PublicKey) -> dict[str, Any]:
    try:
        anchor: dict[str, Any] = json.loads(path.read_text())
        signing.verify(public, anchor)
    except InvalidSignature:
        raise AnchorBroken(f"anchor {path.name} is not signed with this platform's key, or was altered") from None
    except (ValueError, KeyError, TypeError):
        raise AnchorBroken(f"anchor {path.name} cannot be read") from None
    try:
        anchor = FORM.take(anchor)
    except Unreadable as error:
        raise AnchorBroken(f"anchor {path.name} was signed, but cannot be read here ({error})") from None
    expected = {"file": before.name, "sha256": digest(before)} if before else None
    if anchor["previous"] != expected:
        missing = anchor["previous"]["file"] if anchor["previous"] else "none"
        raise AnchorBroken(f"anchor {path.name} follows {missing}, which is missing or was altered")
    return anchor
