"""API keys as strings: how one is made, taken apart and compared. No database, no request.

``qk_<12 characters to find it by>_<256 random bits><mark><checksum>``. The checksum (CRC-32) is anybody's to compute:
it tells a mistyped or cut-off key from a key before anything is looked up, also for scanners that look for leaked keys.
The mark is a short signature that only this platform can make: who sends a key that bears it did not make it up. Older
keys end after the random bits.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from functools import lru_cache
from typing import NamedTuple

from django.conf import settings

PREFIX_LENGTH = 12
_TAIL = 6
"""Characters of mark and of checksum: 32 bits, and 35, in base 62."""
_SHAPE = re.compile(r"qk_([a-z0-9]{12})_[A-Za-z0-9_-]{43}(?:[A-Za-z0-9]{12})?", re.ASCII)
_OLD_LENGTH = len("qk_") + PREFIX_LENGTH + len("_") + 43
_LOWER = "abcdefghijklmnopqrstuvwxyz0123456789"
_BASE62 = _LOWER + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class NewKey(NamedTuple):
    """A key just made. ``token`` is shown to a person once; only prefix and digest are kept."""

    token: str
    prefix: str
    digest: str


def digest(token: str) -> str:
    """SHA-256 of the whole token, in hex. The token holds 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(token.encode()).hexdigest()


def matches(token: str, kept: str) -> bool:
    """Whether the token is the one of this digest, in a time that does not depend on where they differ.

    Twice: the digests are compared to their ends, and what a caller varies in a token changes all of its digest.
    """
    return hmac.compare_digest(digest(token), kept)


def make() -> NewKey:
    """A fresh random key."""
    prefix = "".join(secrets.choice(_LOWER) for _ in range(PREFIX_LENGTH))
    body = f"qk_{prefix}_{secrets.token_urlsafe(32)}"
    body += _mark(body)
    token = body + checksum(body)
    return NewKey(token=token, prefix=prefix, digest=digest(token))


def prefix_of(token: str) -> str | None:
    """The part a key is looked up by, or None when the string is no key of ours."""
    match = _SHAPE.fullmatch(token)
    return match.group(1) if match else None


def is_intact(token: str) -> bool:
    """False for a string of the right shape whose checksum is wrong. Old keys have none."""
    return len(token) == _OLD_LENGTH or checksum(token[:-_TAIL]) == token[-_TAIL:]


def is_marked(token: str) -> bool:
    """True for an intact key that a platform with this SECRET_KEY has made. False says nothing: it may be older."""
    body = token[: -2 * _TAIL]
    return len(token) > _OLD_LENGTH and hmac.compare_digest(_mark(body), token[-2 * _TAIL : -_TAIL])


def checksum(text: str) -> str:
    """What a key ends with, whose other characters are ``text``."""
    return _base62(zlib.crc32(text.encode()))


def _mark(body: str) -> str:
    made = hashlib.blake2b(body.encode(), key=_key(settings.SECRET_KEY), digest_size=8)
    return _base62(int.from_bytes(made.digest()))


@lru_cache(2)
def _key(secret: str) -> bytes:
    return hashlib.sha256(b"tenants.credentials.mark:" + secret.encode()).digest()


def _base62(number: int) -> str:
    """The last characters of the number."""
    found = ""
    for _ in range(_TAIL):
        number, digit = divmod(number, 62)
        found = _BASE62[digit] + found
    return found
