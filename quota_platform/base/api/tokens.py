"""Tokens of the management API: each costs a look-up, so an address may present only so many wrong ones."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Any

from django.conf import settings
from rest_framework import status
from rest_framework.authentication import TokenAuthentication, get_authorization_header
from rest_framework.exceptions import APIException, AuthenticationFailed
from rest_framework.request import Request

from quota_platform.base.failures import Failures
from quota_platform.base.lru import Lru

_KNOWN = 1_000


class TooManyInvalid(APIException):
    """``wait_s``: until the address may present another one."""

    status_code = status.HTTP_429_TOO_MANY_REQUESTS
    default_detail = "Too many invalid tokens came from this address; a token that is in use is not affected."

    def __init__(self, wait_s: int) -> None:
        super().__init__()
        self.retry_after_s = wait_s


@dataclass
class Presented:
    """What this process was shown. ``valid``: digests of headers that were, and are looked up whatever comes beside."""

    failures: Failures
    valid: Lru[bytes, bool] = field(default_factory=lambda: Lru(_KNOWN))
    lock: Lock = field(default_factory=Lock)

    def check(self, header: bytes, address: str) -> None:
        """Raise :class:`TooManyInvalid` for an address that failed too often, unless this was valid before."""
        with self.lock:
            if header in self.valid or not (wait_us := self.failures.wait_us(address)):
                return
            self.failures.refuse()
        raise TooManyInvalid(math.ceil(wait_us / 1_000_000))

    def note(self, header: bytes, address: str, *, valid: bool) -> None:
        with self.lock:
            if valid:
                self.valid.put(header, True)
            else:
                self.valid.drop(header)
                self.failures.note(address)


@lru_cache(1)
def presented() -> Presented:
    """The process's own."""
    return Presented(Failures(most=settings.ENV.MAX_FAILED_KEYS_PER_MINUTE))


class BoundedTokenAuthentication(TokenAuthentication):
    """``Authorization: Token …``."""

    def authenticate(self, request: Request) -> Any:
        header = get_authorization_header(request)
        if not header.lower().startswith(self.keyword.lower().encode()):
            return None
        digest, address = hashlib.sha256(header).digest(), request.META.get("REMOTE_ADDR", "")
        presented().check(digest, address)
        try:
            found = super().authenticate(request)
        except AuthenticationFailed:
            presented().note(digest, address, valid=False)
            raise
        presented().note(digest, address, valid=found is not None)
        return found
