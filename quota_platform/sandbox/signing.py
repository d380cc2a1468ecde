"""The key that signs the sandbox's tokens (RS256), and its public half as a JWK set."""

from __future__ import annotations

import base64
import functools
import json
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

KEY_ID = "sandbox-1"


@functools.cache
def _private_key() -> rsa.RSAPrivateKey:
    # One a process: making a key takes tens of milliseconds, and tests start many sandboxes.
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def sign(claims: dict[str, Any]) -> str:
    """A compact JWT of ``claims``."""
    head = _encode(json.dumps({"alg": "RS256", "typ": "JWT", "kid": KEY_ID}).encode())
    text = f"{head}.{_encode(json.dumps(claims).encode())}"
    return f"{text}.{_encode(_private_key().sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def jwks() -> dict[str, Any]:
    """The public key, as RFC 7517 writes it."""
    numbers = _private_key().public_key().public_numbers()
    key = {
        "kty": "RSA",
        "use": "sig",
        "alg": "RS256",
        "kid": KEY_ID,
        "n": _integer(numbers.n),
        "e": _integer(numbers.e),
    }
    return {"keys": [key]}


def _integer(number: int) -> str:
    return _encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
