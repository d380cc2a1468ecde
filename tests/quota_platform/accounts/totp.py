"""An authenticator app: the codes of a secret, by another library than the platform's."""

from __future__ import annotations

import base64
import time

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP


def code(secret: str, *, steps: int = 0) -> str:
    """The code of now, or of so many half minutes later."""
    # The platform's secrets are as long as RFC 4226 recommends; the library checks that.
    return TOTP(base64.b32decode(secret), 6, SHA1(), 30).generate(int(time.time()) + 30 * steps).decode()
