"""The signature of a message, which proves to the receiver its sender, its integrity and its age.

Source: Standard Webhooks 1.0 (https://www.standardwebhooks.com), symmetric signatures ``v1``: HMAC-SHA256 over
``<id>.<timestamp>.<body>``, in base64.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

SECRET_PREFIX = "whsec_"
"""As the Standard Webhooks specification writes a signing secret: this, then base64."""


def headers(secret: str, *, message_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """The three headers of a message. ``at_s``: when this attempt is made, epoch seconds."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{_sign(secret, message_id, at_s, body)}",
    }


def _sign(secret: str, message_id: str, at_s: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = hmac.new(key, f"{message_id}.{at_s}.".encode() + body, hashlib.sha256)
    return base64.b64encode(signed.digest()).decode()
