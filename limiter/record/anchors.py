"""Anchors: one signed file a day with the heads of all chains, so that a cut tail shows.

The signature is Ed25519 over the canonical JSON of everything else in the file, so whoever has the public key can
verify an anchor without the secret. A day's file is replaced until the day is over and names the file before it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings
from django.utils import timezone

from limiter.models import AuditEntry
from limiter.record import chain, signing

_PURPOSE = b"quota-platform audit anchor"


class AnchorBroken(Exception):
    """An anchor is not what this platform signed; the message says which and why."""


def directory() -> Path:
    """Where the files are."""
    return Path(settings.ENV.VAR_DIR) / "anchors"


def key() -> Ed25519PrivateKey:
    """The signing key of anchors and of what they vouch for."""
    return signing.key(_PURPOSE)


def write(*, now: datetime | None = None, where: Path | None = None) -> int:
    """Write or replace the day's file; returns how many chains it holds."""
    now = (now or timezone.now()).astimezone(UTC)
    folder = where or directory()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{now:%Y-%m-%d}.json"
    earlier = [file for file in sorted(folder.glob("*.json")) if file.name < path.name]
    anchor: dict[str, Any] = {
        "at": now.isoformat(timespec="microseconds"),
        "heads": _heads(),
        "previous": {"file": earlier[-1].name, "sha256": _digest(earlier[-1])} if earlier else None,
    }
    anchor["public_key"] = signing.public_key(key())
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(signing.sign(key(), anchor), indent=1, sort_keys=True) + "\n")
    os.replace(draft, path)
    return len(anchor["heads"])


def _heads() -> dict[str, dict[str, Any]]:
    """Position and hash of the newest audit entry of each chain; these vouch for the events."""
    heads = ((tenant_id, chain.head(AuditEntry, tenant_id)) for tenant_id in chain.tenants(AuditEntry))
    return {tenant_id: {"position": position, "hash": digest} for tenant_id, (position, digest) in heads}


def read(where: Path | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every file with its name, oldest first; raises :class:`AnchorBroken`."""
    before: Path | None = None
    public = key().public_key()
    for path in sorted((where or directory()).glob("*.json")):
        yield path.name, _verified(path, before, public)
        before = path


def _verified(path: Path, before: Path | None, public: Ed25519PublicKey) -> dict[str, Any]:
    try:
        anchor: dict[str, Any] = json.loads(path.read_text())
        signing.verify(public, anchor)
    except InvalidSignature:
        raise AnchorBroken(f"anchor {path.name} is not signed with this platform's key, or was altered") from None
    except (ValueError, KeyError, TypeError):
        raise AnchorBroken(f"anchor {path.name} cannot be read") from None
    expected = {"file": before.name, "sha256": _digest(before)} if before else None
    if anchor["previous"] != expected:
        missing = anchor["previous"]["file"] if anchor["previous"] else "none"
        raise AnchorBroken(f"anchor {path.name} follows {missing}, which is missing or was altered")
    return anchor


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
