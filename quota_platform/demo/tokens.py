"""The demo's API keys in the clear, kept in ``VAR_DIR`` only: the database stores no more than their hashes."""

from __future__ import annotations

import json
from pathlib import Path

from quota_platform.base.private_file import write_private

FILE = "demo.keys.json"


def read(var: Path) -> dict[str, str]:
    """Tenant id (or :data:`~quota_platform.demo.cast.PLATFORM`) -> token."""
    try:
        text = (var / FILE).read_text()
    except FileNotFoundError:
        return {}
    return {str(name): str(token) for name, token in json.loads(text).items()}


def write(var: Path, tokens: dict[str, str]) -> None:
    write_private(var / FILE, json.dumps(tokens, indent=2) + "\n")
