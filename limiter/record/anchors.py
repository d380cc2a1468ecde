"""Anchors: one signed file a day with the heads of all chains, so that a cut tail shows.

The signature is Ed25519 over the canonical JSON of everything else in the file, so anyone with the public key can
verify an anchor without the secret. A day's file is replaced until the day is over and names the file before it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.utils import timezone

from limiter.record import anchor_files, chain, signing


def directory() -> Path:
    """Where the files are."""
    return Path(settings.ENV.VAR_DIR) / "anchors"


def key() -> Ed25519PrivateKey:
    """The signing key of anchors and of the cuts that they vouch for."""
    return signing.key(anchor_files.PURPOSE, secret=signing.secret())


def write(*, now: datetime | None = None, where: Path | None = None) -> int:
    """Write or replace the day's file; returns how many chains it holds."""
    now = (now or timezone.now()).astimezone(UTC)
    folder = where or directory()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{now:%Y-%m-%d}.json"
    earlier = [file for file in sorted(folder.glob("*.json")) if file.name < path.name]
    anchor: dict[str, Any] = {
        signing.VERSION: anchor_files.FORM.writes,
        "at": now.isoformat(timespec="microseconds"),
        "heads": chain.heads(),  # these vouch for the events
        "previous": {"file": earlier[-1].name, "sha256": anchor_files.digest(earlier[-1])} if earlier else None,
    }
    anchor["public_key"] = signing.public_key(key())
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(signing.sign(key(), anchor), indent=1, sort_keys=True) + "\n")
    os.replace(draft, path)
    return len(anchor["heads"])


def read(where: Path | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every file with its name, oldest first; raises ``AnchorBroken``."""
    return anchor_files.read(where or directory(), key().public_key())
