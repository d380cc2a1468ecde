"""How many wrong passwords one may try: per account and address, and per address; each pause is longer than the last.

django-axes asks before a password is looked at and reports how it went, for the admin, the dashboard and whatever else
signs people in. An account is never closed to everybody: a person at another address is not paused.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Iterator
from typing import Any

import redis
from axes.handlers.base import AbstractAxesHandler, AxesBaseHandler
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django_redis.exceptions import ConnectionInterrupted

from quota_platform.base import addresses

WINDOW_S = 900
"""Failures are counted for so long after the first."""
FIRST_PAUSE_S = 60
MAX_PAUSE_S = 3_600
REMEMBERED_S = 86_400
"""How long a pause is remembered, so that the next one is twice as long."""

UNAVAILABLE = (ConnectionInterrupted, redis.RedisError)

log = logging.getLogger(__name__)


def address_of(request: HttpRequest) -> str:
    """The unit that failures are counted by: an IPv4 address, or the /64 of an IPv6 one."""
    return addresses.group(request.META.get("REMOTE_ADDR", ""))


class Attempts(AbstractAxesHandler, AxesBaseHandler):
    """Failed sign-ins, counted in the shared cache under names that tell neither account nor address.

    While the cache is unavailable nothing is counted and nobody is paused: people must be able to sign in then.
    """

    def is_allowed(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        """Whether a password is looked at. ``sign_in_wait_s`` on the request says for how long it is not."""
        now = time.time()
        try:
            ends = cache.get_many([f"{name}:until" for name, _ in _counts(request, credentials)])
        except UNAVAILABLE:
            return True
        wait_s = max((until - now for until in ends.values()), default=0)
        request.sign_in_wait_s = max(wait_s, 0)  # type: ignore[attr-defined]
        return wait_s <= 0

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        return 0  # is_allowed decides

    def user_login_failed(
        self, sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any
    ) -> None:
        if request is None or getattr(request, "axes_locked_out", False):
            return
        try:
            pauses = [_failed(name, allowed) for name, allowed in _counts(request, credentials)]
        except UNAVAILABLE as error:
            log.warning("a failed sign-in was not counted: the shared cache is unavailable (%s)", error)
            return
        if pause_s := max(pauses):
            request.sign_in_wait_s = pause_s  # type: ignore[attr-defined]
            request.axes_locked_out = True  # type: ignore[attr-defined]
            log.warning("sign-in is paused for %d s after repeated failures", pause_s)

    def user_logged_in(self, sender: Any, request: HttpRequest, user: Any, **_: Any) -> None:
        """The account's own count starts again; the address's does not: it may have an account of its own."""
        name, _allowed = next(_counts(request, {"username": user.get_username()}))
        try:
            cache.delete_many([name, f"{name}:pauses"])
        except UNAVAILABLE as error:
            log.warning("a sign-in was not counted: the shared cache is unavailable (%s)", error)

    def user_logged_out(self, sender: Any, request: HttpRequest, user: Any, **_: Any) -> None:
        """Nothing is counted."""


def is_first(name: str, for_s: int) -> bool:
    """Whether nothing of this name happened in the last so many seconds. Raises one of UNAVAILABLE."""
    return bool(cache.add(_name(name), 1, timeout=for_s))


def _counts(request: HttpRequest, credentials: dict[str, Any] | None) -> Iterator[tuple[str, int]]:
    """Names of the counts that a sign-in belongs to, each with how many failures it allows."""
    address, account = address_of(request), str((credentials or {}).get("username") or "")
    yield _name(f"{address}\n{account}"), settings.ENV.SIGN_IN_FAILURES
    yield _name(address), settings.ENV.SIGN_IN_FAILURES_PER_ADDRESS


def _name(of: str) -> str:
    return "sign-in:" + hashlib.sha256(of.encode("utf-8", "surrogatepass")).hexdigest()


def _failed(name: str, allowed: int) -> int:
    """Count a failure; the seconds of pause that it begins, or 0."""
    cache.add(name, 0, timeout=WINDOW_S)
    if _raised(name, WINDOW_S) != allowed:
        return 0
    cache.delete(name)
    cache.add(f"{name}:pauses", 0, timeout=REMEMBERED_S)
    pause_s: int = min(MAX_PAUSE_S, FIRST_PAUSE_S * 2 ** min(_raised(f"{name}:pauses", REMEMBERED_S) - 1, 16))
    cache.set(f"{name}:until", time.time() + pause_s, timeout=pause_s)
    return pause_s


def _raised(name: str, timeout_s: int) -> int:
    try:
        return int(cache.incr(name))
    except ValueError:  # it ended between the two commands
        cache.set(name, 1, timeout=timeout_s)
        return 1


def paused(request: HttpRequest, *_: Any) -> HttpResponse:
    """What somebody sees whose sign-in is paused, right password or not."""
    wait_s = max(1, math.ceil(getattr(request, "sign_in_wait_s", FIRST_PAUSE_S)))
    response = render(request, "quota_platform/sign_in_paused.html", {"minutes": math.ceil(wait_s / 60)}, status=429)
    response["Retry-After"] = str(wait_s)
    return response
