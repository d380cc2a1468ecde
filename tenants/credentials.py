"""API keys as strings: how one is made, taken apart and compared. No database, no request."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import NamedTuple

PREFIX_LENGTH = 12
_SHAPE = re.compile(r"qk_([a-z0-9]{12})_([A-Za-z0-9_-]{43})", re.ASCII)
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


class NewKey(NamedTuple):
    """A key just made. ``token`` is shown to a person once; only prefix and digest are kept."""

    token: str
    prefix: str
    digest: str


def digest(token: str) -> str:
    """SHA-256 of the whole token, in hex. The token holds 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(token.encode()).hexdigest()


def make() -> NewKey:
    """A fresh random key: ``qk_<12 characters to find it by>_<256 random bits>``."""
    prefix = "".join(secrets.choice(_ALPHABET) for _ in range(PREFIX_LENGTH))
    token = f"qk_{prefix}_{secrets.token_urlsafe(32)}"
    return NewKey(token=token, prefix=prefix, digest=digest(token))


def prefix_of(token: str) -> str | None:
    """The part a key is looked up by, or None when the string is no key of ours."""
    match = _SHAPE.fullmatch(token)
    return match.group(1) if match else None
